// The matchers of a price table, compiled once: does this (lower-case, trimmed) name belong to that provider or model?
import type { MatchJson } from './table.ts';

export type Matches = (name: string) => boolean;

export function matcherOf(match: MatchJson): Matches {
  if ('or' in match) {
    const any = match.or.map(matcherOf);
    return (name) => any.some((matches) => matches(name));
  }
  if ('and' in match) {
    const all = match.and.map(matcherOf);
    return (name) => all.every((matches) => matches(name));
  }
  if ('regex' in match) {
    const regex = new RegExp(match.regex);
    return (name) => regex.test(name);
  }
  return textMatcherOf(match);
}

type TextMatch = Exclude<MatchJson, { or: unknown } | { and: unknown } | { regex: unknown }>;

function textMatcherOf(match: TextMatch): Matches {
  if ('equals' in match) {
    const text = match.equals.toLowerCase();
    return (name) => name === text;
  }
  if ('starts_with' in match) {
    const text = match.starts_with.toLowerCase();
    return (name) => name.startsWith(text);
  }
  if ('ends_with' in match) {
    const text = match.ends_with.toLowerCase();
    return (name) => name.endsWith(text);
  }
  const text = match.contains.toLowerCase();
  return (name) => name.includes(text);
}

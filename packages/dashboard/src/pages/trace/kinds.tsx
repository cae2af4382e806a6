// How each kind of span looks: icon, colour, word.
import { BookOpenText, Bot, Box, Sparkles, Waypoints, Wrench, type LucideIcon } from 'lucide-react';
import type { Kind } from '../../waterfall/rows.ts';

export const KINDS: Record<Kind, { word: string; icon: LucideIcon; token: string }> = {
  llm: { word: 'model call', icon: Sparkles, token: 'series-1' },
  agent: { word: 'agent', icon: Bot, token: 'series-6' },
  tool: { word: 'tool', icon: Wrench, token: 'series-5' },
  retrieval: { word: 'retrieval', icon: BookOpenText, token: 'series-3' },
  embedding: { word: 'embedding', icon: Waypoints, token: 'series-4' },
  other: { word: 'other', icon: Box, token: 'series-rest' },
};

export function KindIcon({ kind, size = 14 }: { kind: Kind; size?: number }) {
  const { word, icon: Icon, token } = KINDS[kind];
  return (
    <span title={word} className="inline-flex shrink-0" style={{ color: `var(--${token})` }}>
      <Icon size={size} aria-hidden />
      <span className="sr-only">{word}</span>
    </span>
  );
}

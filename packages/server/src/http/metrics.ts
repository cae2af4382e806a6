// Counters, gauges and histograms in the Prometheus text format 0.0.4. Rooms get the registry handed in.

export type Labels = Readonly<Record<string, string>>;

export interface Metrics {
  /** The same name gives the same counter. */
  counter(name: string, help: string): { add(amount?: number, labels?: Labels): void };
  /** Read when the metrics are asked for. */
  gauge(name: string, help: string, read: () => number): void;
  /** `bounds` are the upper bounds of the buckets, ascending. */
  histogram(name: string, help: string, bounds: readonly number[]): { observe(value: number, labels?: Labels): void };
  text(): string;
}

/** A runaway label would grow for ever: beyond this many series per name, new ones are counted as `other`. */
const MAX_SERIES = 1_000;
const OVERFLOW = '{series="other"}';

export function createMetrics(): Metrics {
  const families = new Map<string, { head: string; lines: () => string[] }>();
  const counters = new Map<string, Map<string, number>>();
  const family = (name: string, help: string, type: string, lines: () => string[]): void => {
    families.set(name, { head: `# HELP ${name} ${help}\n# TYPE ${name} ${type}`, lines });
  };
  return {
    counter(name, help) {
      const series = counters.get(name) ?? new Map<string, number>();
      if (!counters.has(name)) {
        counters.set(name, series);
        family(name, help, 'counter', () => [...series].map(([labels, value]) => `${name}${labels} ${value}`));
      }
      return { add: (amount = 1, labels = {}) => addTo(series, labelText(labels), amount) };
    },
    gauge(name, help, read) {
      family(name, help, 'gauge', () => [`${name} ${read()}`]);
    },
    histogram(name, help, bounds) {
      const series = new Map<string, { counts: number[]; sum: number; labels: Labels }>();
      family(name, help, 'histogram', () => [...series.values()].flatMap((one) => histogramLines(name, bounds, one)));
      return {
        observe(value, labels = {}) {
          const key = series.has(labelText(labels)) || series.size < MAX_SERIES ? labelText(labels) : OVERFLOW;
          const kept = key === OVERFLOW ? { series: 'other' } : labels;
          const one = series.get(key) ?? { counts: Array.from(bounds, () => 0).concat(0), sum: 0, labels: kept };
          const bucket = bounds.findIndex((bound) => value <= bound);
          const at = bucket === -1 ? bounds.length : bucket;
          one.counts[at] = (one.counts[at] ?? 0) + 1;
          one.sum += value;
          series.set(key, one);
        },
      };
    },
    text: () => [...families.values()].flatMap(({ head, lines }) => [head, ...lines()]).join('\n') + '\n',
  };
}

function addTo(series: Map<string, number>, labels: string, amount: number): void {
  const key = series.has(labels) || series.size < MAX_SERIES ? labels : OVERFLOW;
  series.set(key, (series.get(key) ?? 0) + amount);
}

function histogramLines(
  name: string,
  bounds: readonly number[],
  { counts, sum, labels }: { counts: readonly number[]; sum: number; labels: Labels },
): string[] {
  let running = 0;
  const buckets = [...bounds.map(String), '+Inf'].map((le, i) => {
    running += counts[i] ?? 0;
    return `${name}_bucket${labelText({ ...labels, le })} ${running}`;
  });
  return [...buckets, `${name}_sum${labelText(labels)} ${sum}`, `${name}_count${labelText(labels)} ${running}`];
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

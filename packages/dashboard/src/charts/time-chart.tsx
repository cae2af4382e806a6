// The one wrapper around uPlot: stacked bars or lines over time. Draws what it is given; fetches nothing.
// Drag = set the time range. Click = the rows behind the point. The exact figures stand in the tooltip.
import { useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { shortMoment } from '../format/time.ts';
import { tokenColour, useShownTheme } from '../theme/appearance.ts';
import { stacked, type Column, type Frame } from './series.ts';

export interface ChartProps {
  frame: Frame;
  kind: 'bars' | 'lines';
  /** Token of a column's colour, without `--`. */
  colourOf(column: Column): string;
  /** A value in the tooltip, from its exact text. */
  figure(exact: string): string;
  /** A value on the axis. */
  tick(value: number): string;
  /** What the chart shows, for those who hear it. */
  label: string;
  onRange?: (fromMs: number, toMs: number) => void;
  onPoint?: (column: Column | undefined, fromMs: number, toMs: number) => void;
  height?: number;
}

interface Hover {
  at: number;
  left: number;
  /** Width of the whole chart, px. */
  width: number;
  focused: number | null;
}

const MIN_DRAG_PX = 8;

export function TimeChart(props: ChartProps) {
  const { frame, label, colourOf } = props;
  const [hover, setHover] = useState<Hover>();
  // a canvas does not follow CSS: in another theme it is drawn anew
  const theme = useShownTheme();
  return (
    <div>
      <div className="relative" role="img" aria-label={label}>
        <Plot key={theme} {...props} onHover={setHover} />
        {hover && <HoverCard {...props} hover={hover} />}
      </div>
      <Legend frame={frame} colourOf={colourOf} />
    </div>
  );
}

function Plot(props: ChartProps & { onHover: (hover: Hover | undefined) => void }) {
  const { frame, kind, height = 240, onHover } = props;
  const box = useRef<HTMLDivElement>(null);
  const latest = useRef<ChartProps>(props);
  useEffect(() => {
    latest.current = props;
  });
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const options = optionsOf(latest, frame, kind, { width: element.clientWidth, height }, onHover);
    const plot = new uPlot(options, dataOf(frame, kind), element);
    const resize = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      plot.destroy();
      onHover(undefined);
    };
  }, [frame, kind, height, onHover]);
  return <div ref={box} style={{ height }} className={props.onPoint ? 'cursor-pointer' : ''} />;
}

function Legend({ frame, colourOf }: Pick<ChartProps, 'frame' | 'colourOf'>) {
  return (
    <ul className="mt-2 flex flex-wrap gap-x-4 gap-y-1 text-xs text-ink-2">
      {frame.columns.map((column) => (
        <li key={column.name} className="inline-flex items-center gap-1.5">
          <Swatch token={colourOf(column)} />
          {column.name}
        </li>
      ))}
    </ul>
  );
}

export function Swatch({ token }: { token: string }) {
  return <span aria-hidden className="h-2.5 w-2.5 shrink-0 rounded-[2px]" style={{ background: `var(--${token})` }} />;
}

function HoverCard({ frame, colourOf, figure, hover }: ChartProps & { hover: Hover }) {
  const startMs = frame.timesMs[hover.at] ?? 0;
  const side = hover.left > hover.width / 2 ? { right: hover.width - hover.left + 14 } : { left: hover.left + 14 };
  return (
    <div
      className="pointer-events-none absolute top-1 z-10 max-w-72 rounded-md border bg-raised px-2.5 py-2 text-xs shadow-md"
      style={side}
      aria-hidden
    >
      <p className="mb-1 text-ink-3">
        {shortMoment(new Date(startMs).toISOString())} –{' '}
        {shortMoment(new Date(startMs + frame.intervalMs).toISOString())}
      </p>
      {frame.columns.map((column, index) => (
        <p key={column.name} className={`flex items-center gap-1.5 ${hover.focused === index ? 'font-semibold' : ''}`}>
          <Swatch token={colourOf(column)} />
          <span className="min-w-0 flex-1 truncate text-ink-2">{column.name}</span>
          <span className="pl-3">{exactAt(column, hover.at, figure)}</span>
        </p>
      ))}
    </div>
  );
}

function exactAt(column: Column, at: number, figure: (exact: string) => string): string {
  const exact = column.exact[at];
  return exact === null || exact === undefined ? 'none' : figure(exact);
}

// uPlot draws its series in order, so the tallest layer of a stack goes first and the others over it
function dataOf(frame: Frame, kind: ChartProps['kind']): uPlot.AlignedData {
  const seconds = frame.timesMs.map((ms) => ms / 1000);
  if (kind === 'lines') return [seconds, ...frame.columns.map(({ values }) => values)];
  return [seconds, ...stacked(frame.columns).reverse()];
}

type Latest = { readonly current: ChartProps };

function optionsOf(
  latest: Latest,
  frame: Frame,
  kind: ChartProps['kind'],
  size: { width: number; height: number },
  setHover: (hover: Hover | undefined) => void,
): uPlot.Options {
  const halfS = kind === 'bars' ? frame.intervalMs / 2000 : 0;
  const firstS = (frame.timesMs[0] ?? 0) / 1000;
  const lastS = (frame.timesMs.at(-1) ?? 0) / 1000;
  return {
    ...size,
    padding: [10, 26, 0, 0],
    legend: { show: false },
    scales: {
      x: { time: true, range: () => [firstS - halfS, Math.max(lastS, firstS + frame.intervalMs / 1000) + halfS] },
      y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] },
    },
    axes: axesOf(latest),
    series: [{}, ...seriesOf(latest, frame, kind)],
    cursor: {
      y: false,
      points: { show: kind === 'lines' },
      drag: { x: true, y: false, setScale: false },
      focus: { prox: 24 },
    },
    hooks: {
      setCursor: [(plot) => setHover(hoverOf(plot, frame, kind))],
      setSelect: [(plot) => selectRange(plot, latest)],
      ready: [(plot) => listenForClicks(plot, latest, kind)],
    },
  };
}

function axesOf(latest: Latest): uPlot.Axis[] {
  const ink = tokenColour('ink-3');
  const line = { stroke: tokenColour('line'), width: 1 };
  const font = `11px 'Inter Variable', sans-serif`;
  return [
    { stroke: ink, font, grid: { show: false }, ticks: { ...line, size: 4 }, values: TIME_TICKS },
    {
      stroke: ink,
      font,
      grid: line,
      ticks: { show: false },
      size: 58,
      values: (_, ticks) => ticks.map((tick) => latest.current.tick(tick)),
    },
  ];
}

// 24-hour clock and day-month order: [smallest step in s, format, at a new year, …, at a new day, …]
const DAY_BELOW = '\n{D} {MMM}';
const TIME_TICKS: uPlot.Axis.DynamicValues | (string | number | null)[][] = [
  [31_536_000, '{YYYY}', null, null, null, null, null, null, 1],
  [2_419_200, '{MMM}', '\n{YYYY}', null, null, null, null, null, 1],
  [86_400, '{D} {MMM}', '\n{YYYY}', null, null, null, null, null, 1],
  [3_600, '{HH}:{mm}', DAY_BELOW, null, DAY_BELOW, null, null, null, 1],
  [60, '{HH}:{mm}', DAY_BELOW, null, DAY_BELOW, null, null, null, 1],
  [1, '{HH}:{mm}:{ss}', DAY_BELOW, null, DAY_BELOW, null, null, null, 1],
];

function seriesOf(latest: Latest, frame: Frame, kind: ChartProps['kind']): uPlot.Series[] {
  const colours = frame.columns.map((column) => tokenColour(latest.current.colourOf(column)));
  if (kind === 'lines') {
    return colours.map((stroke) => ({
      stroke,
      width: 1.5,
      spanGaps: false,
      points: { show: true, size: 4, fill: stroke },
    }));
  }
  const paths = uPlot.paths.bars?.({ size: [0.78, 40], align: 0 });
  return colours.reverse().map((fill) => ({ fill, width: 0, points: { show: false }, ...(paths ? { paths } : {}) }));
}

function hoverOf(plot: uPlot, frame: Frame, kind: ChartProps['kind']): Hover | undefined {
  const { idx, left } = plot.cursor;
  if (idx === null || idx === undefined || left === undefined || left < 0) return undefined;
  const offset = plot.bbox.left / devicePixelRatio;
  return { at: idx, left: left + offset, width: plot.width, focused: columnAt(plot, frame, kind, idx) };
}

// the layer or the nearest line under the cursor
function columnAt(plot: uPlot, frame: Frame, kind: ChartProps['kind'], at: number): number | null {
  const top = plot.cursor.top ?? -1;
  if (top < 0) return null;
  const value = plot.posToVal(top, 'y');
  if (kind === 'bars') {
    const layer = stacked(frame.columns).findIndex((heights) => value <= (heights[at] ?? 0));
    return layer === -1 ? null : layer;
  }
  let nearest: number | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const [index, column] of frame.columns.entries()) {
    const distance = Math.abs((column.values[at] ?? Number.POSITIVE_INFINITY) - value);
    if (distance < least) [nearest, least] = [index, distance];
  }
  return nearest;
}

function selectRange(plot: uPlot, latest: Latest): void {
  const { left, width } = plot.select;
  if (width < MIN_DRAG_PX) return;
  const ms = (px: number): number => Math.round(plot.posToVal(px, 'x') * 1000);
  latest.current.onRange?.(ms(left), ms(left + width));
  plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
}

// a press and release in one place is a click; what moved was a selection
function listenForClicks(plot: uPlot, latest: Latest, kind: ChartProps['kind']): void {
  let pressedX = 0;
  plot.over.addEventListener('mousedown', (event) => (pressedX = event.clientX));
  plot.over.addEventListener('click', (event) => {
    const at = plot.cursor.idx;
    if (at === null || at === undefined || Math.abs(event.clientX - pressedX) >= MIN_DRAG_PX) return;
    const { frame, onPoint } = latest.current;
    const startMs = frame.timesMs[at] ?? 0;
    const column = columnAt(plot, frame, kind, at);
    onPoint?.(column === null ? undefined : frame.columns[column], startMs, startMs + frame.intervalMs);
  });
}

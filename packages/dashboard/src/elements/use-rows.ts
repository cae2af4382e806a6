// Virtual rows of one height: only those in sight are drawn. The one place that calls TanStack Virtual.
import { useVirtualizer, type Virtualizer } from '@tanstack/react-virtual';
import type { RefObject } from 'react';

export const ROW_PX = 32;

type Rows = Virtualizer<HTMLDivElement, Element>;

export function useRows(count: number, scroller: RefObject<HTMLDivElement | null>): Rows {
  // The rule warns that the compiler cannot memoise what this returns; nothing here is compiled, and rows memoise themselves.
  // oxlint-disable-next-line react/incompatible-library
  return useVirtualizer({ count, getScrollElement: () => scroller.current, estimateSize: () => ROW_PX, overscan: 14 });
}

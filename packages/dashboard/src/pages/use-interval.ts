// The interval that a page's range means, held still until the range changes or the reader refreshes.
import { useMemo, useState } from 'react';
import { intervalOf, type Interval, type RangeSearch } from '../filters/range.ts';

export function useInterval({ range, from, to }: RangeSearch): { interval: Interval; refresh: () => void } {
  const [loadedAt, setLoadedAt] = useState(() => Date.now());
  const interval = useMemo(() => intervalOf({ range, from, to }, loadedAt), [range, from, to, loadedAt]);
  return { interval, refresh: () => setLoadedAt(Date.now()) };
}

// The one memory of series colours of this page, kept in the browser's storage where that is open.
import { SeriesColours } from './palette.ts';

function openStorage(): Storage | undefined {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}

export const seriesColours = new SeriesColours(openStorage());

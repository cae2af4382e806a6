// Whether the window is a phone's: the one width at which pages change their shape (Tailwind's `md`).
import { useSyncExternalStore } from 'react';

const query = matchMedia('(max-width: 767px)');

function subscribe(listener: () => void): () => void {
  query.addEventListener('change', listener);
  return () => query.removeEventListener('change', listener);
}

export const useNarrow = (): boolean => useSyncExternalStore(subscribe, () => query.matches);

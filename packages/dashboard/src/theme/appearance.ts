// Light, dark, or as the system says. The choice lives in this browser; public/appearance.js applies it before paint.
import { useSyncExternalStore } from 'react';

export type Appearance = 'system' | 'light' | 'dark';
const KEY = 'lumatrace.appearance';
const listeners = new Set<() => void>();

export function chosenAppearance(): Appearance {
  const theme = document.documentElement.dataset['theme'];
  return theme === 'light' || theme === 'dark' ? theme : 'system';
}

export function chooseAppearance(appearance: Appearance): void {
  if (appearance === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = appearance;
  try {
    localStorage.setItem(KEY, appearance);
  } catch {
    // Storage is closed to us: the choice lasts as long as the page.
  }
  for (const listener of listeners) listener();
}

const systemDark = (): MediaQueryList => matchMedia('(prefers-color-scheme: dark)');

function subscribe(listener: () => void): () => void {
  const media = systemDark();
  listeners.add(listener);
  media.addEventListener('change', listener);
  return () => {
    listeners.delete(listener);
    media.removeEventListener('change', listener);
  };
}

export const useAppearance = (): Appearance => useSyncExternalStore(subscribe, chosenAppearance);

/** What is shown now: for canvases, which do not follow CSS by themselves. */
export function useShownTheme(): 'light' | 'dark' {
  return useSyncExternalStore(subscribe, () => {
    const chosen = chosenAppearance();
    if (chosen !== 'system') return chosen;
    return systemDark().matches ? 'dark' : 'light';
  });
}

/** The value of a colour token right now, as canvas understands it. */
export function tokenColour(name: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(--${name})`;
  document.documentElement.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

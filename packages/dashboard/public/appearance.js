// Runs before the first paint: puts the chosen appearance on the page, so that it never flashes in the other one.
// A file of its own, since the content security policy allows no inline script. Key and values: src/theme/appearance.ts.
try {
  const chosen = localStorage.getItem('lumatrace.appearance');
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is closed to us: the system's appearance is used.
}

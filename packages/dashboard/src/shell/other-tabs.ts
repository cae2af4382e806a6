// Tabs share one cookie: whoever logs in, leaves or goes to another workspace in one of them does so in all.
const KEY = 'lumatrace.session-changed';

/** Never heard by the tab that tells. */
export function tellOtherTabs(): void {
  localStorage.setItem(KEY, String(Date.now()));
}

/** For as long as the page lives. */
export function onOtherTab(react: () => void): void {
  window.addEventListener('storage', ({ key }) => key === KEY && react());
}

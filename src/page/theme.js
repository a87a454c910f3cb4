// Light or dark, before anything is drawn: what was chosen here, or else what the system prefers.
'use strict';
window.theme = (() => {
  const KEY = 'tidemark-theme';
  const system = matchMedia('(prefers-color-scheme: dark)');
  const chosen = () => {
    try { return localStorage.getItem(KEY); } catch { return null; }
  };
  const current = () => chosen() ?? (system.matches ? 'dark' : 'light');
  const apply = () => {
    document.documentElement.dataset.theme = current();
    window.dispatchEvent(new Event('themechange'));
  };
  const toggle = () => {
    const next = current() === 'dark' ? 'light' : 'dark';
    try {
      // The system's own choice needs no memory: it is followed when it changes.
      const own = next === (system.matches ? 'dark' : 'light');
      if (own) localStorage.removeItem(KEY); else localStorage.setItem(KEY, next);
    } catch { /* Storage may be forbidden; then the choice is not kept. */ }
    document.documentElement.dataset.theme = next;
    window.dispatchEvent(new Event('themechange'));
  };
  system.addEventListener('change', apply);
  apply();
  return { current, toggle };
})();

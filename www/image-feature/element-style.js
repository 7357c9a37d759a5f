/** The style of `<image-search>`. A page changes it by custom properties and `::part()`. */

export const STYLE = `
:host { display: block; color: var(--image-search-ink, light-dark(#1c1b22, #ecebf0)); font: inherit; }
:host([hidden]), [hidden] { display: none !important; }
.drop {
  display: flex; flex-wrap: wrap; gap: 0.75rem; align-items: center; padding: 1rem;
  border: 2px dashed var(--image-search-line, light-dark(#c9c6bd, #303038)); border-radius: var(--image-search-radius, 12px);
  background: var(--image-search-panel, light-dark(#fff, #1c1c22));
}
.drop.over { border-color: var(--image-search-accent, light-dark(#4648c8, #9a9bff)); }
.hint, .status, .id { color: var(--image-search-muted, light-dark(#5d5b66, #a09eab)); }
.preview { width: 4rem; height: 4rem; object-fit: cover; border-radius: 6px; }
button {
  font: inherit; padding: 0.5rem 1rem; border: 0; border-radius: 8px; cursor: pointer;
  background: var(--image-search-accent, light-dark(#4648c8, #9a9bff)); color: var(--image-search-accent-ink, light-dark(#fff, #14142b));
}
button:focus-visible, .card:focus-visible { outline: 3px solid var(--image-search-accent, light-dark(#4648c8, #9a9bff)); outline-offset: 2px; }
.status { min-height: 1.5em; margin: 0.5rem 0; }
.error { color: var(--image-search-bad, light-dark(#b3261e, #ff8f85)); margin: 0.5rem 0; }
.results {
  display: grid; gap: 0.75rem; padding: 0; margin: 0; list-style: none;
  grid-template-columns: repeat(auto-fill, minmax(var(--image-search-card, 9rem), 1fr));
}
.card {
  padding: 0.5rem; cursor: pointer; overflow-wrap: anywhere; background: var(--image-search-panel, light-dark(#fff, #1c1c22));
  border: 1px solid var(--image-search-line, light-dark(#e3e1db, #303038)); border-radius: var(--image-search-radius, 12px);
}
.card[aria-selected="true"] { border-color: var(--image-search-accent, light-dark(#4648c8, #9a9bff)); }
.picture { display: block; width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 6px; }
.label { font-weight: 600; }
video { max-width: 100%; display: block; margin-bottom: 0.75rem; }
`;

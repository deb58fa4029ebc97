function translateStreamlit({ language, texts, patterns }) {
  document.documentElement.lang = language;

  // Numbers of tables and months of calendars have the form of these languages: that of the page, not that of the
  // browser. The form of its country stays, such as the first day of the week; without one it is Monday.
  const spoken = Reflect.get(Navigator.prototype, "languages", navigator).find((code) => code.startsWith(language));
  const usual = language === "en" ? "en-GB" : language;
  const shown = { language: spoken ?? usual, languages: Object.freeze([language]) };
  for (const [name, value] of Object.entries(shown))
    Object.defineProperty(navigator, name, { configurable: true, get: () => value });
  window.dispatchEvent(new Event("languagechange"));

  // The English text of each node and attribute that was replaced: another language starts from it.
  const state = (window.vigieTexts ??= { originals: new WeakMap() });
  const attributes = ["aria-label", "aria-valuetext", "placeholder", "title"];
  const rules = patterns.map(([pattern, text]) => [new RegExp(pattern), text]);

  function translateText(text) {
    const trimmed = text.trim();
    if (Object.hasOwn(texts, trimmed)) return texts[trimmed];
    const rule = rules.find(([pattern]) => pattern.test(trimmed));
    if (!rule) return null;
    const parts = rule[0].exec(trimmed);
    return rule[1].replace(/\$(\d)/g, (_, number) => translateText(parts[number]) ?? parts[number]);
  }

  // React keeps two versions of each component: return the one on screen.
  function findCurrent(component) {
    if (!component.return) return component.stateNode.current;
    let sibling = findCurrent(component.return).child;
    while (sibling && sibling !== component && sibling !== component.alternate) sibling = sibling.sibling;
    return sibling ?? component;
  }

  // Return the text that a cell of a table shows; null where it is `raw`. The copy of the table that screen readers
  // read has raw values, such as 1234.5 for 1 234,5; the shown one is in the component of React that draws the table.
  function readCell(cell, raw) {
    const [column, row] = cell.id.split("-").slice(-2).map(Number);
    const key = Object.keys(cell).find((name) => name.startsWith("__reactFiber$"));
    let component = cell[key];
    while (component && !component.memoizedProps?.getCellContent) component = component.return;
    if (!component) return null;
    const { copyData, data, displayData } = findCurrent(component).memoizedProps.getCellContent([column, row]);
    return raw === (copyData ?? data?.toString()) ? (displayData ?? data?.displayDate ?? null) : null;
  }

  // `slot` is "" for the text of a node, else the name of an attribute.
  function replace(node, slot, value, write, translate = translateText) {
    const replaced = state.originals.get(node) ?? {};
    const previous = replaced[slot];
    const original = previous && previous.shown === value ? previous.original : value;
    const shown = translate(original);
    if (shown === null || (shown === value && !previous)) return;
    state.originals.set(node, { ...replaced, [slot]: { original, shown } });
    if (shown !== value) write(shown);
  }

  // Streamlit writes its buttons and dialogs as Markdown; other Markdown is ours.
  function isOurs(node) {
    const element = node.parentElement;
    return !element || element.closest("script, style, textarea") ||
      (element.closest("[data-testid='stMarkdownContainer']") && !element.closest("button, [data-testid='stDialog']"));
  }

  function visit(root) {
    if (root.nodeType === Node.TEXT_NODE) {
      const write = (shown) => (root.nodeValue = shown);
      const cell = root.parentElement?.closest("canvas [role='gridcell']");
      if (cell) replace(root, "", root.nodeValue, write, (raw) => readCell(cell, raw));
      else if (!isOurs(root)) replace(root, "", root.nodeValue, write);
    } else if (root.nodeType === Node.ELEMENT_NODE) {
      for (const name of attributes)
        if (root.hasAttribute(name))
          replace(root, name, root.getAttribute(name), (shown) => root.setAttribute(name, shown));
      root.childNodes.forEach(visit);
    }
  }

  state.observer?.disconnect();
  state.observer = new MutationObserver((changes) => {
    const tables = new Set();
    for (const change of changes) {
      if (change.target.closest?.(".js-plotly-plot")) continue; // thousands of changes, and no text of Streamlit
      if (change.type === "childList") change.addedNodes.forEach(visit);
      else visit(change.target);
      tables.add((change.target.parentElement ?? document.body).closest("canvas"));
    }
    tables.delete(null);
    tables.forEach(visit); // another language changes cells whose raw values stay
  });
  state.observer.observe(document.body, {
    attributeFilter: attributes,
    characterData: true,
    childList: true,
    subtree: true,
  });
  visit(document.body);
}

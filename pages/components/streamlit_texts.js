function translateStreamlit({ language, texts, patterns }) {
  // The numbers of tables have the form of the first of these languages: that of the page, not that of the browser.
  Object.defineProperty(navigator, "languages", { configurable: true, get: () => Object.freeze([language]) });

  // The English text of each node and attribute that was replaced: another language starts from it.
  const state = (window.vigieTexts ??= { originals: new WeakMap() });
  const attributes = ["aria-label", "placeholder", "title"];
  const rules = patterns.map(([pattern, text]) => [new RegExp(pattern), text]);

  function translate(text) {
    const trimmed = text.trim();
    if (Object.hasOwn(texts, trimmed)) return texts[trimmed];
    const rule = rules.find(([pattern]) => pattern.test(trimmed));
    return rule ? trimmed.replace(rule[0], rule[1]) : null;
  }

  // `slot` is "" for the text of a node, else the name of an attribute.
  function replace(node, slot, value, write) {
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
      if (!isOurs(root))
        replace(root, "", root.nodeValue, (shown) => (root.nodeValue = shown));
    } else if (root.nodeType === Node.ELEMENT_NODE) {
      for (const name of attributes)
        if (root.hasAttribute(name))
          replace(root, name, root.getAttribute(name), (shown) => root.setAttribute(name, shown));
      root.childNodes.forEach(visit);
    }
  }

  state.observer?.disconnect();
  state.observer = new MutationObserver((changes) => {
    for (const change of changes)
      if (change.type === "childList") change.addedNodes.forEach(visit);
      else visit(change.target);
  });
  state.observer.observe(document.body, {
    attributeFilter: attributes,
    characterData: true,
    childList: true,
    subtree: true,
  });
  visit(document.body);
}

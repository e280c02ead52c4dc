// Making and changing elements. Everything shown is text: no markup ever comes out of data.

/**
 * Makes an element. `class`, `text` and any attribute; null and false leave an attribute out.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Readonly<Record<string, string | number | boolean | null>>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'text') made.textContent = String(value);
    else setAttribute(made, name, value);
  }
  made.append(...children);
  return made;
}

/**
 * Sets the text, only when it differs: an untouched text node keeps selections and is not announced again.
 * @param {Element} target
 * @param {string} text
 */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/**
 * Sets or removes an attribute, only when it differs.
 * @param {Element} target
 * @param {string} name
 * @param {string | number | boolean | null} value true: present and empty; false or null: absent.
 */
export function setAttribute(target, name, value) {
  if (value === null || value === false) {
    if (target.hasAttribute(name)) target.removeAttribute(name);
    return;
  }
  const text = value === true ? '' : String(value);
  if (target.getAttribute(name) !== text) target.setAttribute(name, text);
}

/**
 * The element of page.html with this id.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`page.html has no ${type.name} #${id}`);
  return found;
}

// docs/configuration.md, generated: the prose of manual-text.ts around one table per mapping in the table of keys.

import { MANUAL_AFTER, MANUAL_BEFORE, SECTION_NOTES } from './manual-text.ts';
import { configSchema } from './schema.ts';
import type { Either, Key, Leaf, Mapping, Type } from './table.ts';

interface Section {
  /** Path with `NAME` for names that the author gives and `[]` for the items of a list; empty for the top. */
  readonly title: string;
  readonly mapping: Mapping;
}

export function manualText(): string {
  const parts = sections({ title: '', mapping: configSchema }).map(sectionText);
  return `${[MANUAL_BEFORE, ...parts, MANUAL_AFTER].join('\n\n')}\n`;
}

/** The section itself, then what it holds, in the order of the table of keys. */
function sections(section: Section): readonly Section[] {
  const inner = Object.entries(section.mapping.keys).flatMap(([name, { type }]) => {
    const title = innerTitle(section.title, name, type);
    const [first, ...others] = mappings(type);
    if (first === undefined) return [];
    return [
      ...sections({ title, mapping: first }),
      ...others.flatMap((mapping) => otherSections(title, mapping)),
    ];
  });
  return [section, ...inner];
}

/** Of another mapping that may stand in the same place; told by its first key. */
function otherSections(title: string, mapping: Mapping): readonly Section[] {
  const [own, ...rest] = sections({ title, mapping });
  const [first] = Object.keys(mapping.keys);
  return own === undefined ? [] : [{ ...own, title: `${title} with ${first}` }, ...rest];
}

function sectionText({ title, mapping }: Section): string {
  const heading = title === '' ? '### Top level' : `### ${title}`;
  const rows = Object.entries(mapping.keys).map(([name, field]) => {
    const cells = [`\`${name}\``, typeText(title, name, field.type), defaultText(field), field.says];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  const table = ['| key | type | default | meaning |', '|---|---|---|---|', ...rows].join('\n');
  const note = SECTION_NOTES[title];
  return [heading, ...(note === undefined ? [] : [note]), table].join('\n\n');
}

function defaultText({ presence, preset, type }: Key): string {
  if (presence === 'required') return 'required';
  if (presence === 'optional') return 'none';
  if (typeof preset === 'object' && mappings(type).length > 0) return 'as below';
  if (Array.isArray(preset)) return `\`[${preset.join(', ')}]\``;
  if (typeof preset === 'object') return 'none';
  return preset === '' ? 'empty' : `\`${String(preset)}\``;
}

function typeText(title: string, name: string, type: Type): string {
  if (mappings(type).length === 0) return plainText(type);
  const noun = { mapping: 'mapping', either: 'mapping', list: 'list', names: 'mapping of names' };
  const word = type.form === 'leaf' || type.form === 'short' ? '' : noun[type.form];
  const anchor = anchorOf(innerTitle(sectionOf(title), name, type));
  return [`[${word}](#${anchor})`, ...shortForms(type).map(leafText)].join(' or ');
}

/** The word for a type without keys of its own. */
function plainText(type: Type): string {
  if (type.form === 'leaf') return leafText(type);
  if (type.form === 'list') return `list of ${plainText(type.item)}`;
  if (type.form === 'names') return `${plainText(type.item)} by name`;
  throw new Error(`the manual has no word for a type of the form ${type.form}`);
}

function leafText({ shown }: Leaf): string {
  const { enum: words, kind, range } = shown;
  if (Array.isArray(words)) return words.map((word) => `\`${word}\``).join(' | ');
  return range === undefined ? kind : `${kind}, ${range}`;
}

/** What may stand in the place of the mapping, or of the whole list. */
function shortForms(type: Type): readonly Leaf[] {
  if (type.form === 'list' && type.mayBeAlone) return shortForms(type.item);
  return type.form === 'either' ? shortsOf(type) : [];
}

function shortsOf({ forms }: Either): readonly Leaf[] {
  return forms.flatMap((form) => (form.form === 'short' ? [form.leaf] : []));
}

/** The mappings behind a type: itself, or those of its items. */
function mappings(type: Type): readonly Mapping[] {
  if (type.form === 'mapping') return [type];
  if (type.form === 'list' || type.form === 'names') return mappings(type.item);
  return type.form === 'either' ? type.forms.flatMap(mappings) : [];
}

function innerTitle(title: string, name: string, type: Type): string {
  const suffix = { list: '[]', names: '.NAME', mapping: '', either: '', leaf: '', short: '' }[type.form];
  return `${title === '' ? '' : `${title}.`}${name}${suffix}`;
}

/** Without what tells it from another section of the same place. */
function sectionOf(title: string): string {
  return title.replace(/ with .*/, '');
}

/** As GitHub makes anchors of headings. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^a-z0-9_ -]/g, '')
    .replaceAll(' ', '-');
}

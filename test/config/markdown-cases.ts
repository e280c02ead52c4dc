// Golden cases in Markdown: a heading per case, fenced blocks by name (yaml, env, problems, warnings), prose between.

export interface MarkdownCase {
  readonly title: string;
  readonly yaml: string;
  readonly env: Readonly<Record<string, string>>;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

export function parseCases(markdown: string): readonly MarkdownCase[] {
  return markdown
    .split(/^## /m)
    .slice(1)
    .map((section) => ({
      title: section.slice(0, section.indexOf('\n')).trim(),
      yaml: block(section, 'yaml') ?? '',
      env: Object.fromEntries(lines(block(section, 'env')).map((line) => line.split(/=(.*)/s).slice(0, 2))),
      problems: lines(block(section, 'problems')),
      warnings: lines(block(section, 'warnings')),
    }));
}

/** The same text with the outcome blocks of every case replaced by what came out. */
export function replaceOutcomes(
  markdown: string,
  outcome: (one: MarkdownCase) => Pick<MarkdownCase, 'problems' | 'warnings'>,
): string {
  const [intro = '', ...sections] = markdown.split(/^## /m);
  const cases = parseCases(markdown);
  const replaced = sections.map((section, index) => {
    const one = cases[index];
    if (one === undefined) return section;
    const { problems, warnings } = outcome(one);
    const kept = section.replace(/^```(problems|warnings)\n[\s\S]*?^```\n+/gm, '').trimEnd();
    return `${kept}\n${fenced('problems', problems)}${fenced('warnings', warnings)}\n`;
  });
  return `${[intro, ...replaced].join('## ').trimEnd()}\n`;
}

function fenced(name: string, content: readonly string[]): string {
  return content.length === 0 ? '' : `\n\`\`\`${name}\n${content.join('\n')}\n\`\`\`\n`;
}

function block(section: string, name: string): string | undefined {
  return new RegExp(`^\`\`\`${name}\\n([\\s\\S]*?)^\`\`\``, 'm').exec(section)?.[1];
}

function lines(text: string | undefined): readonly string[] {
  return (text ?? '').split('\n').filter((line) => line !== '');
}

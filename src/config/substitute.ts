// `${NAME}` and `${NAME:-default}` inside a scalar; `$${` stands for a literal `${`.

export interface SubstitutionProblem {
  /** The text to point at, as it stands in the source. */
  readonly written: string;
  readonly message: string;
}

export interface Substitution {
  readonly text: string;
  readonly problems: readonly SubstitutionProblem[];
}

/** One left-to-right pass: what a variable contains is never substituted again. */
export function substitute(text: string, env: Readonly<Record<string, string | undefined>>): Substitution {
  if (!text.includes('${')) return { text, problems: [] };
  const problems: SubstitutionProblem[] = [];
  let result = '';
  let at = 0;
  for (;;) {
    const dollar = text.indexOf('${', at);
    if (dollar < 0) return { text: result + text.slice(at), problems };
    if (dollar > at && text[dollar - 1] === '$') {
      result += `${text.slice(at, dollar - 1)}\${`;
      at = dollar + 2;
      continue;
    }
    result += text.slice(at, dollar);
    const close = text.indexOf('}', dollar);
    if (close < 0) {
      problems.push({
        written: '${',
        message: 'the substitution "${" is not closed, write $${ for the two characters themselves',
      });
      return { text: result, problems };
    }
    const outcome = expand(text.slice(dollar + 2, close), env);
    if ('message' in outcome)
      problems.push({ written: text.slice(dollar, close + 1), message: outcome.message });
    else result += outcome.value;
    at = close + 1;
  }
}

function expand(
  inside: string,
  env: Readonly<Record<string, string | undefined>>,
): { value: string } | { message: string } {
  const match = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inside);
  if (match === null) {
    return { message: `"\${${inside}}" is not a substitution, expected \${NAME} or \${NAME:-default}` };
  }
  const [, name = '', fallback] = match;
  const value = Object.hasOwn(env, name) ? env[name] : undefined;
  // as in a shell, `:-` also replaces an empty value
  if (fallback !== undefined) return { value: value === undefined || value === '' ? fallback : value };
  if (value !== undefined) return { value };
  return {
    message: `environment variable ${name} is not set and \${${name}} has no default, write \${${name}:-default} to give one`,
  };
}

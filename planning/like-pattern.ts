/** SQL LIKE outside the server: `%` any characters, `_` one, `\` takes the next as it is. Case counts. */
export function likeMatcher(pattern: string): (text: string) => boolean {
  let source = '';
  for (let at = 0; at < pattern.length; at += 1) {
    const char = pattern.charAt(at);
    if (char === '%') source += '.*';
    else if (char === '_') source += '.';
    else if (char === '\\' && at + 1 < pattern.length) source += literal(pattern.charAt((at += 1)));
    else source += literal(char);
  }
  const expression = new RegExp(`^${source}$`, 'su');
  return (text) => expression.test(text);
}

function literal(char: string): string {
  return /[\\^$.*+?()[\]{}|/]/.test(char) ? `\\${char}` : char;
}

/** Characters with a width of two columns: East Asian scripts and emoji. */
const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/gu
/** Sequences without width: colours, and marks above or below a letter. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape of a colour is one
const widthless = /\u001b\[\d+m|\p{Mn}|\u200d/gu

/** The width of a line in columns of a terminal. */
export function displayWidth(text: string): number {
  // most cells are plain ASCII
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  const shown = text.replace(widthless, '')
  return [...shown].length + (shown.match(wide)?.length ?? 0)
}

/**
 * Wraps a text at blanks to lines of at most `width` columns. Line ends and longer words stay. A line that
 * fits stays unchanged, with its blanks, because it may be code. Continuation lines have the indentation of
 * their line plus `hanging`.
 */
export function wrapped(text: string, width: number, hanging = 0): string[] {
  const source = text.split('\n')
  return source.flatMap((line, i) => {
    // a line above a caret is an excerpt
    if (displayWidth(line) <= width || /^\s*\^$/.test(source[i + 1] ?? '')) return [line]
    const indent = /^ */.exec(line)![0]
    const further = indent + ' '.repeat(hanging)
    const lines: string[] = []
    let last = indent
    for (const word of line.slice(indent.length).split(' ')) {
      const empty = last.trim() === ''
      if (empty) last += word
      else if (displayWidth(last) + 1 + displayWidth(word) <= width) last += ` ${word}`
      else {
        lines.push(last)
        last = further + word
      }
    }
    lines.push(last)
    return lines
  })
}

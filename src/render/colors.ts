type Paint = (text: string) => string
/** Functions that add colours to a text, or return it unchanged. */
export interface Colors {
  bold: Paint
  dim: Paint
  red: Paint
  green: Paint
  yellow: Paint
}

/** The colours of a terminal. Without `on`, texts stay unchanged. */
export function colors(on: boolean): Colors {
  const code = (open: number, close: number): Paint =>
    on ? text => `\u001b[${open}m${text}\u001b[${close}m` : text => text
  return { bold: code(1, 22), dim: code(2, 22), red: code(31, 39), green: code(32, 39), yellow: code(33, 39) }
}

/**
 * The position of a value in a JSON text, so that its text is kept as written. `JSON.parse` rounds long
 * numbers and drops duplicate keys. The text must be valid JSON.
 */
export interface RawValue {
  start: number
  end: number
}

const isBlank = (char: string | undefined): boolean =>
  char === ' ' || char === '\n' || char === '\r' || char === '\t'

function skipBlanks(text: string, at: number): number {
  while (isBlank(text[at])) at++
  return at
}

/** The position after the string that begins at `at`. */
function stringEnd(text: string, at: number): number {
  for (let i = at + 1; ; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '"') return i + 1
  }
}

/** The value that begins at `at`, after blanks. Nesting may have any depth. */
export function rawValue(text: string, at: number): RawValue {
  const start = skipBlanks(text, at)
  let depth = 0
  for (let i = start; ; ) {
    const char = text[i]!
    if (char === '"') i = stringEnd(text, i)
    else {
      if (char === '{' || char === '[') depth++
      else if (char === '}' || char === ']') depth--
      else if (depth === 0) {
        // a number, true, false or null
        while (i < text.length && !/[\s,\]}]/.test(text[i]!)) i++
        return { start, end: i }
      }
      i++
    }
    if (depth === 0) return { start, end: i }
  }
}

/** The members of the object at `at`, in order, with duplicate names. */
export function rawMembers(text: string, at: number): { name: string; value: RawValue }[] {
  const found: { name: string; value: RawValue }[] = []
  for (let i = skipBlanks(text, at + 1); text[i] !== '}'; ) {
    const end = stringEnd(text, i)
    const value = rawValue(text, skipBlanks(text, end) + 1)
    found.push({ name: JSON.parse(text.slice(i, end)), value })
    i = skipBlanks(text, value.end)
    if (text[i] === ',') i = skipBlanks(text, i + 1)
  }
  return found
}

/** The elements of the array at `at`. */
export function rawElements(text: string, at: number): RawValue[] {
  const found: RawValue[] = []
  for (let i = skipBlanks(text, at + 1); text[i] !== ']'; ) {
    const value = rawValue(text, i)
    found.push(value)
    i = skipBlanks(text, value.end)
    if (text[i] === ',') i = skipBlanks(text, i + 1)
  }
  return found
}

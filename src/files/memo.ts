/**
 * Caches results by text, so that each file is parsed once per run. The cached texts have at most `kept`
 * characters in total, and the least recently used go first. Of larger texts the newest stays beside them,
 * so that a small file in between does not make it be parsed again. All callers share a result, so it is
 * deeply frozen.
 */
export function memoByText<T>(
  kept: number,
  make: (text: string) => Promise<T>,
): (text: string) => Promise<T> {
  const known = new Map<string, { length: number; made: Promise<T> }>()
  let characters = 0
  let large: { text: string; made: Promise<T> } | null = null
  return text => {
    if (text.length > kept) {
      if (large?.text !== text) large = { text, made: make(text).then(frozen) }
      return large.made
    }
    let entry = known.get(text)
    if (entry) known.delete(text)
    else {
      entry = { length: text.length, made: make(text).then(frozen) }
      characters += text.length
    }
    // a map keeps the order of insertion: insert the entry again to make it the last
    known.set(text, entry)
    for (const [oldest, { length }] of known) {
      if (characters <= kept) break
      known.delete(oldest)
      characters -= length
    }
    return entry.made
  }
}

/** Freezes a value and everything in it. */
function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  // do not create an array of the values: a parse tree has thousands of small objects
  for (const name in value) frozen(value[name])
  return value
}

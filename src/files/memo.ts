/**
 * Remembers what was made of a text, so that a file is read once in a run. At most
 * `kept` characters of text are remembered (the newest text always); those that were used longest ago are
 * forgotten first. What is made is shared by all callers: it is frozen to the last leaf.
 */
export function memoByText<T>(
  kept: number,
  make: (text: string) => Promise<T>,
): (text: string) => Promise<T> {
  const known = new Map<string, { length: number; made: Promise<T> }>()
  let characters = 0
  return text => {
    let entry = known.get(text)
    if (entry) known.delete(text)
    else {
      entry = { length: text.length, made: make(text).then(frozen) }
      characters += text.length
    }
    // a map keeps its order: the entry that was used last is its last one
    known.set(text, entry)
    for (const [oldest, { length }] of known) {
      if (characters <= kept || oldest === text) break
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
  // no array of the values: a parse tree has thousands of small objects
  for (const name in value) frozen(value[name])
  return value
}

/** As much of a message as is read at once: ReadyForQuery has no more. */
const headBytes = 6

/**
 * Reads the messages in one direction: each has a type and a length, but for the first of a client, which has
 * only a length and counts as type 0. `on` is given what has come of a message, its head at least, and says
 * whether it passes; gives back what does. A head that came in two pieces passes with the second one.
 */
export function messages(
  typed: boolean,
  on: (type: number, message: Buffer) => boolean,
): (chunk: Buffer) => Buffer[] {
  let head: Buffer = Buffer.alloc(0)
  let skip = 0
  let first = !typed
  return chunk => {
    const all = head.length > 0 ? Buffer.concat([head, chunk]) : chunk
    head = Buffer.alloc(0)
    const passing: Buffer[] = []
    let from = 0
    let at = Math.min(skip, all.length)
    skip -= at
    const pass = (to: number) => {
      if (to > from) passing.push(all.subarray(from, to))
    }
    while (at < all.length) {
      const start = first ? 0 : 1
      const left = all.length - at
      const length = left < start + 4 ? Number.POSITIVE_INFINITY : start + all.readUInt32BE(at + start)
      if (left < Math.min(length, headBytes)) {
        head = all.subarray(at)
        break
      }
      const type = first ? 0 : all[at]!
      first = false
      const end = Math.min(at + length, all.length)
      skip = at + length - end
      if (!on(type, all.subarray(at, end))) {
        pass(at)
        from = end
      }
      at = end
    }
    pass(at)
    return passing
  }
}

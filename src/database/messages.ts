/** How many bytes of a message are read at once. ReadyForQuery has no more. */
const headBytes = 6

/**
 * Reads messages in one direction. Each has a type and a length; the first message of a client has only a
 * length and counts as type 0. `on` gets what has arrived of a message, at least its head, and decides
 * whether to pass it on. Returns the bytes to pass on. A head that arrives in two pieces is passed with the
 * second.
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

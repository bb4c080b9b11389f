/** Work that runs concurrently with other work. */
interface Beside<T> {
  /** Waits for the end of the work. Throws its error here, not earlier when nothing could catch it. */
  end(): Promise<T>
}

/** Takes work that has begun. Its error is kept until `end` is called. */
export function beside<T>(work: Promise<T>): Beside<T> {
  const settled = Promise.allSettled([work])
  return {
    end: async () => {
      const [ended] = await settled
      if (ended.status === 'rejected') throw ended.reason
      return ended.value
    },
  }
}

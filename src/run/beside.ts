/** Work that goes on beside other work, and is asked for its end later. */
interface Beside<T> {
  /** Waits for its end, and throws what it threw: not before, where nobody would be there to catch it. */
  end(): Promise<T>
}

/** Holds work that was begun until somebody asks for its end. */
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

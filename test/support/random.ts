/** Random, but told: a failure says its seed, and RETHREAD_SEED repeats it. */
export const seed = Number(process.env.RETHREAD_SEED ?? Date.now() % 1_000_000)

/** A linear congruential generator: uniform in [0, 1). */
export function random(state: number): () => number {
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648
    return state / 2147483648
  }
}

import { describe, expect, test } from 'vitest'
import { servers } from '../support/database.js'
import { seed } from '../support/random.js'
import { kinds, tracks } from '../support/variation.js'
import { type Ending, VariationStory } from '../support/variation_story.js'

/**
 * The tracks on schemas that nobody has thought of: extra columns of any type, partitions, other triggers,
 * constraints, keys and owners, with random rows, an application that goes on writing, and runs that are
 * cut off. Either the looks say no and nothing has changed, or no message is lost, the application sees no
 * error, and the rollback is exact. RETHREAD_SEED repeats one that failed; with RETHREAD_EACH, as many as
 * that from there on.
 */

const soak = process.env.RETHREAD_SOAK !== undefined
const asked = process.env.RETHREAD_SEED !== undefined
const many = Number(process.env.RETHREAD_EACH ?? 0)
/** How many variations of each track; a seed that is asked for runs to its end, and alone. */
const each = many || (asked ? 1 : soak ? 2000 : 40)
/** A soak in pieces: after so many minutes no other story begins. */
const last = Date.now() + 60_000 * Number(process.env.RETHREAD_MINUTES ?? 24 * 60)
/** CI tells the same stories every time, and looks for no new ones: that is for the soak. */
const first = soak || asked ? seed : 606331
/** One in so many is migrated and rolled back in CI, where time is short; odd, for both servers. */
const fullEvery = soak || asked ? 1 : 29

/** How often a kind of variation was tried on each server. */
const tried = new Map<string, number[]>()

const note = (ways: string[], server: number): void => {
  for (const way of ways) {
    const counts = tried.get(way) ?? servers().map(() => 0)
    counts[server]! += 1
    tried.set(way, counts)
  }
}

/** How many stories came to each ending. */
const told = (endings: Ending[]): string =>
  [...new Set(endings)]
    .sort()
    .map(e => `${endings.filter(x => x === e).length} ${e}`)
    .join(', ')

describe('variations of the schema', () => {
  test.each(tracks)(
    `%s: refused before anything changes, or exact (seeds from ${first})`,
    {
      timeout: soak ? 24 * 3_600_000 : 300_000,
    },
    async track => {
      const endings: Ending[] = []
      const faults: string[] = []
      const tell = async (n: number): Promise<void> => {
        const at = n % servers().length
        await using story = await VariationStory.of(servers()[at]!, track, n)
        note(story.ways, at)
        endings.push(await story.tell(n % fullEvery === 0 || asked || soak))
      }
      // one after the other on each server: a story waits for answers most of its time
      const lane = async (at: number): Promise<void> => {
        for (let n = first; n < first + each && Date.now() < last; n++)
          if (n % servers().length === at)
            await tell(n).catch(error => {
              faults.push(String((error as Error).message))
              if (soak) process.stderr.write(`${faults.at(-1)}\n`)
            })
      }
      await Promise.all(servers().map((_, at) => lane(at)))
      if (soak) process.stdout.write(`${track}: ${told(endings)}\n`)
      expect(faults).toEqual([])
      // stories that all end in the same way would show nothing
      if (!asked) expect(endings).toContain('rolled back')
    },
  )

  // each is a story that failed once
  test.each([
    // no superuser: partitions and publications; a schema of another role by the name of ours
    ['trip-sessions', 730002],
    ['trip-sessions', 730023],
    // the role that doctor names, and partitions
    ['workspace-sessions', 363956],
  ])('%s, seed %i', async (track, n) => {
    await using story = await VariationStory.of(servers()[n % servers().length]!, track, n)
    expect(await story.tell(true)).toBe('rolled back')
  })

  test.skipIf(asked)('every kind of variation was tried on every server', () => {
    const table = [...tried].sort().map(([way, counts]) => `${way} ${counts.join('+')}`)
    process.stdout.write(
      `Variations on PostgreSQL ${servers()
        .map(s => s.major)
        .join(' and ')}: ${table.join(', ')}\n`,
    )
    const missing = kinds.filter(way => !tried.has(way) || tried.get(way)!.includes(0))
    expect(missing).toEqual([])
  })
})

import { expect, test } from 'vitest'
import { servers } from '../support/database.js'
import { type InitEnding, InitStory } from '../support/init_story.js'
import { seed } from '../support/random.js'
import { tracks } from '../support/variation.js'

/**
 * Applications of strangers, made at random: other names, types, keys, schemas and people for the shape that
 * a track is for. Each is refused with a reason before anything changes, or goes all the way from `init` on.
 * RETHREAD_SEED repeats one that failed; with RETHREAD_EACH, as many as that from there on.
 */

const soak = process.env.RETHREAD_SOAK !== undefined
const asked = process.env.RETHREAD_SEED !== undefined
const many = Number(process.env.RETHREAD_EACH ?? 0)
const isLong = soak || asked || many > 0
const each = many || (asked ? 1 : soak ? 500 : 2)
/** CI tells the same stories every time. */
const first = isLong ? seed : 20_260
/** In CI, where time is short, two go beyond the plan. */
const full = new Map([
  ['workspace-sessions', first],
  ['conversation-history', first + 1],
])

test.each(tracks)(
  `%s of strangers: refused before anything changes, or all the way (seeds from ${first})`,
  { timeout: isLong ? 24 * 3_600_000 : 60_000 },
  async track => {
    const faults: string[] = []
    const endings: InitEnding[] = []
    const all = servers()
    const lane = async (at: number): Promise<void> => {
      for (let n = first; n < first + each; n++) {
        if (n % all.length !== at) continue
        try {
          await using story = await InitStory.of(all[at]!, track, n)
          endings.push(await story.tell(isLong || full.get(track) === n))
        } catch (error) {
          faults.push((error as Error).message)
          if (isLong) process.stderr.write(`${faults.at(-1)}\n`)
        }
      }
    }
    await Promise.all(all.map((_, at) => lane(at)))
    expect(faults).toEqual([])
    if (full.has(track) && !isLong) expect(endings).toContain('restored')
  },
)

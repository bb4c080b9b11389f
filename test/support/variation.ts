import { common, partitioned, rarer, type Varied, ways } from './variation_ways.js'

/**
 * The schema of an application, varied at random: what other people's databases have and the examples have
 * not.
 * The same seed gives the same variation.
 */
export interface Variation {
  /** For a failure's message. */
  kind: string
  /** Statements on top of the example. Where the server refuses them, there is no such variation. */
  sql: string
  /** A column to which the application gives a value whenever it inserts. */
  mandatory?: { table: string; column: string; value: string }
  /** What a trigger of the application writes when a row is updated: `table` or `table.column`. */
  moved?: string
  /** It does so whether or not the backfills hold triggers off. */
  always?: boolean
  /** It does so for deletions too: those of a backfill that takes rows out are never held off. */
  deletions?: boolean
}

/** Choices of one seed. */
export interface Dice {
  next(): number
  chance(probability: number): boolean
  one<T>(from: readonly T[]): T
  upTo(most: number): number
}

function dice(seed: number): Dice {
  // mulberry32: it has no short cycles, and neighbouring seeds have nothing in common
  let state = seed | 0
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  const upTo = (most: number) => Math.floor(next() * (most + 1))
  return { next, upTo, chance: p => next() < p, one: from => from[Math.floor(next() * from.length)]! }
}

/** The tables of each track's application that its files touch, the messages first. */
const tables: Record<string, Varied[]> = {
  'workspace-sessions': [
    { table: 'chats', key: 'id', text: 'message', time: 'created_at' },
    { table: 'workspaces', key: 'id', text: 'name', time: 'updated_at' },
  ],
  'conversation-history': [
    { table: 'chat_sessions', key: 'id', text: 'title', time: 'created_at' },
    { table: 'tenants', key: 'id', text: 'name', time: null },
  ],
  'trip-sessions': [
    { table: 'messages', key: 'id', text: 'content', time: 'created_at' },
    { table: 'conversations', key: 'id', text: 'subject', time: 'created_at' },
    { table: 'requests', key: 'id', text: 'departure_airport', time: 'created_at' },
    { table: 'chatkit_sessions', key: 'id', text: 'chatkit_session_id', time: 'updated_at' },
    { table: 'iso_agents', key: 'id', text: 'name', time: null },
  ],
  'helper-chats': [{ table: 'projects', key: 'id', text: 'name', time: 'created_at' }],
  'codebase-sessions': [{ table: 'repositories', key: 'id', text: 'name', time: null }],
}

export const tracks = Object.keys(tables)

/** The ways of which each has its turn. */
const inTurn = ['partitioned', ...Object.keys(ways)]
/** Every way in which a schema can be varied. */
export const kinds = [...inTurn, 'rarer']

/** Functions of the examples that read the clock, with others that count: two databases then agree. */
const still: Record<string, string> = {
  'workspace-sessions': `create or replace function public.update_updated_at() returns trigger language plpgsql as $$ begin new.updated_at = old.updated_at + interval '1 second'; return new; end $$;
    update public.workspaces set updated_at = '2025-01-01'`,
  'conversation-history': `create or replace function public.touch_updated_at() returns trigger language plpgsql as $$ begin if new.updated_at = old.updated_at then new.updated_at = old.updated_at + interval '1 second'; end if; return new; end $$`,
  'trip-sessions': `create or replace function public.touch_chatkit_sessions() returns trigger language plpgsql as $$ begin new.updated_at = old.updated_at + interval '1 second'; return new; end $$;
    update public.conversations set created_at = '2025-01-01' where created_at > '2025-06-01'; update public.requests set created_at = '2025-01-01' where created_at > '2025-06-01'`,
  'helper-chats': `update public.projects set created_at = '2025-01-01'`,
  'codebase-sessions': 'select',
}

/** The choices of one seed: other ones for each track, the same ones every time. */
export const diceOf = (track: string, seed: number): Dice => dice(seed + 104_729 * tracks.indexOf(track))

/** The variations of one seed. `major` is the server's: not all of them know everything. */
export function variationsOf(track: string, seed: number, major: number): Variation[] {
  const d = diceOf(track, seed)
  const made: Variation[] = [{ kind: 'clock', sql: `${still[track]!};${common}` }]
  const all = tables[track]!
  const main = all[0]!
  // each kind in its turn, on each of two servers, the others by chance
  const turn = Math.floor(seed / 2) + tracks.indexOf(track) * Math.floor(inTurn.length / tracks.length)
  const first = inTurn[turn % inTurn.length]!
  if (first === 'partitioned' || d.chance(0.05))
    made.push({ kind: `partitioned of ${main.table}`, sql: partitioned(main, d) })
  const chosen = [
    first,
    ...Array.from({ length: d.upTo(d.chance(0.5) ? 2 : 5) }, () => d.one(Object.keys(ways))),
  ]
  for (const [n, way] of chosen.entries()) {
    const t = d.chance(0.65) ? main : d.one(all)
    const kind = `${way} of ${t.table}`
    // a name that is taken is refused: the others have more to say
    const tooOften = n > 0 && way === 'taken' && d.chance(0.7)
    if (tooOften || way === 'partitioned' || made.some(m => m.kind === kind)) continue
    const vary = ways[way]!(t, d, n, { track, major })
    made.push({ kind, ...(typeof vary === 'string' ? { sql: vary } : vary) })
  }
  // a choice of its own: the other ones of a seed stay what they were
  const e = diceOf(track, seed + 3_000_003)
  if (e.chance(0.2)) {
    const t = e.one(all)
    made.push({ kind: `rarer of ${t.table}`, sql: rarer(t, e, chosen.length) })
  }
  return made
}

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { discover } from '../src/files/discover.js'
import { bodiesOf } from '../src/files/function_bodies.js'
import { withoutByteOrderMark } from '../src/files/statements.js'
import { readTrackInfo } from '../src/files/track_info.js'
import { expectedNow } from '../src/model/expected.js'
import { acts, type Check, type Track } from '../src/model/project.js'
import { act, sharedFactsOf } from '../src/verify/run_check.js'
import { contract, rethread } from './support/cli.js'
import { type Database, database, root, servers } from './support/database.js'
import { folder } from './support/folder.js'

/**
 * Each check has a story: fault -> found -> fix -> none, as often as it likes, in a
 * transaction that is rolled back.
 */
interface Scene {
  kind: 'fault' | 'fix'
  sql: string
}

function read(path: string): { contract: boolean; scenes: Scene[] } {
  const text = readFileSync(path, 'utf8')
  const parts = text.split(/^-- (fault|fix)\n/m).slice(1)
  const scenes: Scene[] = []
  for (let i = 0; i < parts.length; i += 2)
    scenes.push({ kind: parts[i] as Scene['kind'], sql: parts[i + 1]! })
  return { contract: text.includes('-- with: contract'), scenes }
}

const storyPath = (name: string) => join(root, `test/checks/${name}.sql`)

/** A track that is copied for databases without a table, and what makes an example one of them. */
interface Copy {
  track: Track
  /** Checks that only the copy has. */
  checks: Check[]
  sql: string
}

/** The copy of a track without a table or a column. */
async function copyWithout(track: Track, role: string, sql: string): Promise<Copy> {
  const to = folder({})
  const copied = await rethread('', ['init', '--track', track.name, '--map', `${role}=none`, '--dir', to])
  expect(copied.code).toBe(0)
  const own = discover(to, root).tracks.find(t => t.name === track.name)!
  const checks = own.checks.filter(c => !c.shared && track.checks.every(o => o.name !== c.name))
  return { track: own, checks, sql }
}

/** A copy for each table that a track can do without, and for each column that checks are `without`. */
async function copies(): Promise<Copy[]> {
  const found: Copy[] = []
  for (const track of discover(root).tracks) {
    const roles = (await readTrackInfo(track)).info?.roles ?? {}
    for (const lacks of new Set(track.checksWithout?.map(c => c.lacks)))
      if (lacks?.includes('.'))
        found.push(
          await copyWithout(track, lacks, `alter table ${lacks.replace('.', ' drop column ')} cascade`),
        )
    for (const [role, { optional }] of Object.entries(roles)) {
      if (!optional || 'with' in optional) continue
      const absent = Object.keys(roles).filter(r => {
        const of = roles[r]!.optional
        return r === role || (of && 'with' in of && of.with === role)
      })
      const columns = Object.entries(roles).flatMap(([r, hint]) =>
        Object.entries(hint.columns).flatMap(([column, { of }]) =>
          of === role && !absent.includes(r) ? [`alter table ${r} drop column ${column} cascade`] : [],
        ),
      )
      const sql = [...columns, ...absent.map(r => `drop table ${r} cascade`)].join('; ')
      found.push(await copyWithout(track, role, sql))
    }
  }
  return found
}
const copied = await copies()

/**
 * Each check under the name of its story. A shared check has one on workspace-sessions, and may have another
 * for each track.
 */
const stories = (tracks: Track[]): [name: string, check: Check, of: Copy | null][] => [
  ...storiesOf(tracks).map(([name, check]) => [name, check, null] as [string, Check, null]),
  ...copied.flatMap(of =>
    of.checks.map(check => [`${of.track.name}/${check.name}`, check, of] as [string, Check, Copy]),
  ),
]

const storiesOf = (tracks: Track[]): [name: string, check: Check][] =>
  tracks.flatMap(t =>
    t.checks.flatMap((check): [string, Check][] => {
      const own = `${t.name}/${check.name}`
      if (!check.shared) return [[own, check]]
      return [
        ...(t.name === 'workspace-sessions' ? ([[`_every/${check.name}`, check]] as [string, Check][]) : []),
        ...(existsSync(storyPath(own)) ? ([[own, check]] as [string, Check][]) : []),
      ]
    }),
  )

test('no story is left over from a check that is gone', () => {
  const wanted = stories(discover(root).tracks).map(([name]) => `${name}.sql`)
  const kept = readdirSync(join(root, 'test/checks'), { recursive: true, encoding: 'utf8' })
  expect(kept.filter(f => f.endsWith('.sql')).sort()).toEqual(wanted.sort())
})

test('every check says what to do about what it finds', () => {
  const finds = (c: Check) => ['check', 'access', 'probe'].includes(c.kind)
  const silent = discover(root).tracks.flatMap(t =>
    t.checks.filter(c => finds(c) && c.fix === null).map(c => c.file.path),
  )
  expect([...new Set(silent)]).toEqual([])
})

class Rollback extends Error {}

describe.each(servers())('the checks on PostgreSQL $major', server => {
  const bases = new Map<string, Promise<Database>>()
  /** One database a track and state, made when its first check asks for it. */
  const base = (
    track: string,
    state: 'before' | 'overlap' | 'contract',
    of: Copy | null,
  ): Promise<Database> => {
    const key = `${track} ${state} ${of?.sql}`
    let made = bases.get(key)
    if (!made) {
      made = (async () => {
        const db = await database(server, track)
        if (of) await db.sql.unsafe(of.sql)
        if (state !== 'before') {
          const up = await rethread(
            db.url,
            ['migrate', '--track', track, ...(state === 'contract' ? contract : [])],
            of ? { cwd: of.track.root } : {},
          )
          expect([up.code, up.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
        }
        return db
      })()
      bases.set(key, made)
    }
    return made
  }
  afterAll(async () => {
    for (const db of bases.values()) await (await db.catch(() => null))?.[Symbol.asyncDispose]()
  })

  const tracks = discover(root).tracks
  test.each(stories(tracks))('%s', async (name, check, of) => {
    const path = storyPath(name)
    expect(existsSync(path), `a check needs its story: ${path}`).toBe(true)
    const story = read(path)
    if (check.kind === 'listing') return
    expect(story.scenes.some(s => s.kind === 'fault')).toBe(true)
    const state =
      check.kind === 'outlook' && !check.after ? 'before' : story.contract ? 'contract' : 'overlap'
    const db = await base(check.track, state, of)
    const body = withoutByteOrderMark(check.file.text)
    const track = of?.track ?? tracks.find(t => t.name === check.track)!
    await db.sql
      .begin(async tx => {
        const { tables, named, expected } = await sharedFactsOf(track)
        const done = await (state === 'before'
          ? []
          : tx<{ migration: string }[]>`
              select distinct migration from rethread.ledger where track = ${track.name} and outcome = 'done'`)
        const applied = new Set(done.map(d => d.migration))
        const holding = expectedNow(expected, applied)
        await tx`
            select set_config('rethread.tables', ${JSON.stringify(tables)}, true),
              set_config('rethread.named', ${JSON.stringify(named)}, true),
              set_config('rethread.bodies', ${JSON.stringify(await bodiesOf(track, applied))}, true),
              set_config('rethread.expected', ${JSON.stringify(holding)}, true)`
        const look = async () => {
          if (acts(check)) {
            let found: { object: string; detail: string }[] = []
            await tx
              .savepoint(async nested => {
                found = (await act(nested as never, track, check, true)).found
                throw new Rollback()
              })
              .catch(error => {
                if (!(error instanceof Rollback)) throw error
              })
            return found
          }
          const rows = await tx.unsafe<{ object: string; detail: string; missing?: number }[]>(body)
          // an account finds something when something is missing
          if (check.kind !== 'account') return rows
          return rows
            .filter(r => Number(r.missing) !== 0)
            .map(r => ({ object: r.object, detail: `${r.missing} missing` }))
        }
        if (story.scenes[0]!.kind === 'fault' && check.kind === 'check')
          expect([...(await look())]).toEqual([])
        for (const scene of story.scenes) {
          await tx.unsafe(scene.sql).catch(error => {
            throw new Error(`${error.message} in this scene (-- ${scene.kind}):\n${scene.sql}`, {
              cause: error,
            })
          })
          await tx.unsafe('set local row_security = off')
          const rows = await look()
          if (scene.kind === 'fault') {
            expect(rows.length, `nothing was found after:\n${scene.sql}`).toBeGreaterThan(0)
            for (const row of rows) expect([row.object, row.detail].every(Boolean)).toBe(true)
          } else expect([...rows], `still found after:\n${scene.sql}`).toEqual([])
        }
        throw new Rollback()
      })
      .catch(error => {
        if (!(error instanceof Rollback)) throw error
      })
  })
})

import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import { type Context, connect } from '../database/context.js'
import { faultText, isRefused, isSqlState, serverFault } from '../database/faults.js'
import { type Scope, savepoint, takenBack, transaction } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { personasIn, readAccess } from '../files/access_file.js'
import { withoutByteOrderMark } from '../files/statements.js'
import type { Access, Check, Track } from '../model/project.js'
import { type Facts, finding, type Probed } from '../model/report.js'
import { fitSeeds, type Renumbered, renumber } from './fit_seeds.js'
import { lackingRights } from './lacking_rights.js'
import { whyNotAct } from './lent_rights.js'
import { become, becomeUs, reachingOut, seed, seedRows, unreachable } from './probes.sql.js'

/**
 * Lock timeout and statement timeout of a probe, in milliseconds. They are short, so that users notice
 * nothing.
 */
const lockMs = 500

const probeTimeoutMs = 5000

/**
 * Runs work in transactions on a session of its own, and rolls them back. Row security is off until the work
 * becomes a persona.
 */
export const probing =
  (connection: Connection, options = ''): Scope =>
  work =>
    transaction(
      connection.sql,
      options,
    )(async tx => {
      await setLocal(tx, lockMs, probeTimeoutMs)
      return work(tx)
    })

/** Runs work on a session of its own in one transaction with one snapshot, and rolls it back. */
export async function neverLasting<T>(ctx: Context, work: (tx: Db) => Promise<T>): Promise<T> {
  await using connection = await connect(ctx, 'probe')
  return await takenBack(probing(connection, 'isolation level repeatable read'), work)
}

/** Why a check that acts as a persona proves nothing here. */
type NotProved = Facts['PROBE_SKIPPED']

/** The seeded access file. `renumbered` is null if the seeds fitted without changes. */
interface Seeded {
  access: Access
  renumbered: Renumbered | null
}

/**
 * SQLSTATEs of a table that requires other rows than the file writes, and of triggers that raise errors. They
 * do not concern policies.
 */
const wantsOtherRows = /^(22|23|44|P0)|^(42804|428C9)$/

/**
 * Sends statements. If the tables refuse the rows, adapts the statements and sends them again. Returns a
 * reason if they are still refused. Throws all other errors, and those that adapting cannot fix.
 */
async function sendFitting<T>(
  tx: Db,
  text: string,
  refit: (text: string) => Promise<string>,
  send: (tx: Db, text: string) => Promise<T>,
): Promise<{ sent: T; fitted: boolean } | { skipped: NotProved }> {
  const sendAside = (what: string) => savepoint(tx)(inside => send(inside, what))
  try {
    return { sent: await sendAside(text), fitted: false }
  } catch (refusal) {
    if (!isOfRows(refusal)) throw refusal
    const fitting = await refit(text)
    if (fitting === text && isOfTables(refusal)) return { skipped: refusedRows(refusal) }
    if (fitting === text) throw refusal
    try {
      return { sent: await sendAside(fitting), fitted: true }
    } catch (error) {
      if (!isOfRows(error)) throw error
      return { skipped: refusedRows(error) }
    }
  }
}

const isOfRows = (error: unknown): boolean =>
  isRefused(error) && wantsOtherRows.test(serverFault(error)?.code ?? '')

/** Whether the table alone is the cause: a generated column was given a value. */
const isOfTables = (error: unknown): boolean => isSqlState(error, '428C9')

function refusedRows(error: unknown): NotProved {
  return {
    reason: `the tables refuse the rows that it writes (${faultText(error)}); write them as the tables want them, in a copy of the track (rethread init)`,
    roles: [],
    role: null,
  }
}

const lacksRight = (error: unknown): NotProved => ({
  reason: `this role may not write the rows that it needs (42501: ${serverFault(error)!.message}); verify as a role that may, nothing of it lasts`,
  roles: [],
  role: null,
})

/**
 * Whether a policy or trigger reads a setting that only the application's sessions have, such as
 * `current_setting('app.tenant')`.
 */
const isOfSession = (error: unknown): boolean =>
  isSqlState(error, '42704') && /configuration parameter/.test(serverFault(error)!.message)

const unknownSetting = (error: unknown): NotProved => ({
  reason: `the application's policies or triggers read a setting that its own sessions have (${serverFault(error)!.message}); set it in a copy of the track (rethread init)`,
  roles: [],
  role: null,
})

/** Seeds the rows of the access file and reads its expectations. Returns a reason if that is not possible. */
export async function prepareProbe(tx: Db, check: Check): Promise<Seeded | { skipped: NotProved }> {
  const text = withoutByteOrderMark(check.file.text)
  // do not seed or change rows if that fires triggers with effects outside of the database
  const outside = await reachingOut(tx, personasIn(text))
  if (outside.length > 0)
    return {
      skipped: {
        reason: `seeding would fire ${outside.join(', ')}, which reaches outside of the database`,
        roles: [],
        role: null,
      },
    }
  const renumbered: Renumbered = new Map()
  const lends = await whyNotAct(tx, personasIn(text), 'writes')
  if (lends !== null) return { skipped: { reason: lends, roles: [], role: null } }
  const seeded = await sendFitting(tx, text, t => fitSeeds(tx, t, renumbered, new Set()), seed).catch(
    error => {
      if (isRefused(error) && isSqlState(error, '42501')) return { skipped: lacksRight(error) }
      if (!isOfRows(error)) throw error
      return { skipped: refusedRows(error) }
    },
  )
  if ('skipped' in seeded) return seeded
  const read = await readAccess(seeded.sent)
  if ('reason' in read) throw new CantProbe(read.reason)
  const { access } = read
  if (seeded.fitted) for (const call of access.calls) call.sql = await fitSeeds(tx, call.sql, renumbered)
  const roles = [...new Set(Object.values(access.personas).map(p => p.role))]
  const [closed, ...more] = await unreachable(tx, roles)
  if (!closed) return { access, renumbered: seeded.fitted ? renumbered : null }
  const names: [string, ...string[]] = [closed.name, ...more.map(r => r.name)]
  return {
    skipped: { reason: `this role may not become ${names.join(', ')}`, roles: names, role: closed.ours },
  }
}

/** Thrown if a check that acts as a persona cannot run, for example because its access file is invalid. */
export class CantProbe extends Error {}

/** A result without findings. */
export const emptyProbe = (): Probed => ({ found: [], tables: [], findings: [], skipped: null })

/** The result of a check that proved nothing, with the reason. It is never clean. */
export const notProved = (check: Check, why: NotProved): Probed => ({
  ...emptyProbe(),
  skipped: why.reason,
  findings: [finding('PROBE_SKIPPED', check.name, why)],
})

/**
 * Runs a probe: seeds the track's access file, becomes the persona, and returns what the last SELECT finds.
 */
export async function runProbe(tx: Db, track: Track, check: Check): Promise<Probed> {
  const access = track.checks.find(c => c.kind === 'access')
  const ready = access ? await prepareProbe(tx, access) : null
  if (ready && 'skipped' in ready) return notProved(check, ready.skipped)
  const persona = check.as === null ? null : ready?.access.personas[check.as]
  if (persona === undefined) throw new CantProbe(`persona \`${check.as}\` is not in the track’s access file`)
  const renumbered = ready?.renumbered ?? new Map()
  const text = renumber(withoutByteOrderMark(check.file.text), renumbered)
  try {
    const acted = await sendFitting(
      tx,
      text,
      t => fitSeeds(tx, t, renumbered),
      async (inside, what) => {
        if (persona) await become(inside, persona)
        const rows = await seedRows(inside, what)
        await becomeUs(inside)
        return rows
      },
    )
    if ('skipped' in acted) return notProved(check, acted.skipped)
    return {
      ...emptyProbe(),
      found: acted.sent.map(r => ({ object: String(r.object ?? ''), detail: String(r.detail ?? '') })),
    }
  } catch (error) {
    if (isOfSession(error)) return notProved(check, unknownSetting(error))
    // with grants by column, new columns may lack a grant
    const lacks = persona && isSqlState(error, '42501') ? await lackingRights(tx, persona.role, text) : []
    if (lacks.length === 0) throw error
    return { ...emptyProbe(), found: lacks }
  }
}

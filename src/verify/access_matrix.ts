import { planNodes } from '../database/query_plan.sql.js'
import type { Db } from '../database/types.js'
import type { Access, AccessTable, Check, Operation, Persona } from '../model/project.js'
import { type Finding, finding, type Probed, type Table } from '../model/report.js'
import { tableText } from '../model/table_name.js'
import {
  attemptAll,
  attempts,
  doorName,
  explainAs,
  gone,
  moved,
  rowToInsert,
  sampledRows,
  sideDoors,
  type Try,
  type TryResult,
  wideUpdateLimit,
} from './access_matrix.sql.js'
import { emptyProbe, notProved, prepareProbe } from './probes.js'
import { rowEstimate } from './probes.sql.js'

/**
 * A table above this many rows is not read from end to end: not by what the application asks, nor by
 * a matrix that is not deep.
 */
const largeTable = 10_000

/** Seeds, then lets every persona try every operation on every table, by every door. */
export async function accessMatrix(tx: Db, check: Check, deep: boolean): Promise<Probed> {
  const ready = await prepareProbe(tx, check)
  if ('skipped' in ready) return notProved(check, ready.skipped)
  const { access } = ready
  const probed = emptyProbe()
  for (const table of access.tables) probed.tables.push(await matrixOf(tx, access, table, deep, probed.found))
  if (access.calls.length > 0) probed.tables.push(await callsOf(tx, access, probed.found))
  probed.findings.push(...(await policyCosts(tx, access)))
  return probed
}

/** What a try came to; `fault` is one of the policy or of a trigger, neither yes nor no. */
type Fate = 'allowed' | 'denied' | 'fault'

/** Each door to a table's rows, with the operation whose permission it needs. */
interface Door extends Omit<Try, 'persona'> {
  name: string
  operation: Operation
  /** A partition that is read directly: whoever may read the table need not be able to. */
  partition?: boolean
  /** Objects of the catalog that open it, as `catalogOf` names them. */
  about?: string[]
  /** Reaches for all rows: many that give way are too many, whosever they are. */
  sweeps?: boolean
}

async function doorsOf(tx: Db, t: AccessTable, deep: boolean): Promise<Door[]> {
  const some = !deep && (await rowEstimate(tx, t.table)) > largeTable ? await sampledRows(tx, t) : null
  const doors: Door[] = [
    { name: 'select', operation: 'select', statement: attempts.select(t) },
    { name: 'insert', operation: 'insert', statement: attempts.insert(t, await rowToInsert(tx, t)) },
    { name: 'update', operation: 'update', statement: attempts.update(t) },
    { name: 'delete', operation: 'delete', statement: attempts.delete(t), lookAfter: gone(t) },
  ]
  for (const column of Object.keys(t.move)) {
    doors.push(
      {
        name: `move by ${column}`,
        operation: 'move',
        statement: attempts.move(t, column),
        lookAfter: moved(t, column),
      },
      {
        name: `move by ${column}, without WHERE${some ? ' (a sample)' : ''}`,
        operation: 'move',
        statement: some ? attempts.sampled(t, column, some.rows) : attempts.sweep(t, column),
        ...(some && { before: some.declare }),
        lookAfter: some ? some.moved(column) : moved(t, column),
        sweeps: true,
      },
    )
  }
  for (const { name, kind, path } of await sideDoors(tx, t.table))
    doors.push({
      name: doorName(kind, name),
      operation: 'select',
      statement: attempts[kind](t, name),
      partition: kind === 'partition',
      about: [`table ${path}`, `grants ${path}`, ...(kind === 'view' ? [`view ${path}`] : [])],
    })
  return doors
}

/** One table of the matrix: a row a door, a column a persona. */
async function matrixOf(
  tx: Db,
  access: Access,
  t: AccessTable,
  deep: boolean,
  found: Probed['found'],
): Promise<Table> {
  const names = Object.keys(access.personas)
  const may = (door: Door) => t.may[door.operation]
  const doors = await doorsOf(tx, t, deep)
  const tries = new Map(doors.map(door => [door, new Map<string, TryResult>()]))
  const attempt = async (through: Door[], who: string[]) => {
    const wanted = through.flatMap(door => who.map(name => ({ door, name })))
    const said = await attemptAll(
      tx,
      wanted.map(({ door, name }) => ({ ...door, persona: access.personas[name]! })),
    )
    for (const [i, { door, name }] of wanted.entries()) tries.get(door)!.set(name, said[i]!)
  }
  await attempt(
    doors.filter(d => !d.sweeps),
    names,
  )
  // a walk over the whole table that met no objection and left the owner's row alone never
  // reached it: no other will
  const outOfReach = new Map<string, TryResult>()
  for (const door of doors.filter(d => d.sweeps)) {
    for (const [name, tried] of outOfReach) tries.get(door)!.set(name, tried)
    // whoever may move rows may move all of them: nothing to learn, and all rows would be touched
    const who = names.filter(name => !may(door).includes(name) && !outOfReach.has(name))
    await attempt([door], who)
    for (const [name, tried] of tries.get(door)!)
      if (!tried.fault && !tried.seen && tried.rows < wideUpdateLimit) outOfReach.set(name, tried)
  }
  const rows = doors.map(door => [
    door.name,
    ...names.map(name => {
      const tried = tries.get(door)!.get(name)
      if (!tried) return '-'
      const came = fate(door, tried)
      if (door.partition && came === 'denied') return came
      const attempt = {
        object: t.table,
        persona: name,
        what: door.name,
        may: may(door).includes(name),
        about: door.about ?? [],
      }
      return judgeCell(attempt, came, tried, found)
    }),
  ])
  return { title: `Who may do what: ${t.table}`, columns: ['the owner’s row', ...names], rows }
}

/**
 * What a try came to. A value that a constraint refuses has passed the policies, which are asked before:
 * somebody was let in. A fault inside a policy is a fault, never a refusal.
 */
function fate(door: Door, tried: TryResult): Fate {
  if (tried.fault) {
    const { code } = tried.fault
    if (code === '42501') return 'denied'
    // a trigger may raise what it likes before the policies are asked: only the server's own
    // constraints come after them
    return code.startsWith('23') && tried.fault.constraint ? 'allowed' : 'fault'
  }
  if (door.sweeps) return tried.seen || tried.rows >= wideUpdateLimit ? 'allowed' : 'denied'
  if (door.lookAfter) return tried.seen ? 'allowed' : 'denied'
  return tried.rows > 0 ? 'allowed' : 'denied'
}

/** Somebody who tries something, and whether they may. */
interface AccessAttempt {
  object: string
  persona: string
  what: string
  may: boolean
  about: string[]
}

/** What a try came to, as the matrix shows it; what is wrong with it goes to `found`. */
function judgeCell(
  { object, persona, what, may, about }: AccessAttempt,
  came: Fate,
  tried: TryResult,
  found: Probed['found'],
): string {
  if (came === (may ? 'allowed' : 'denied')) return came
  if (came === 'fault') {
    const { code, message } = tried.fault!
    found.push({ object, detail: `${persona}, ${what}: ${code}: ${message}`, about })
    return `error ${code}`
  }
  const why = tried.fault ? `: ${tried.fault.message}` : ''
  found.push({
    object,
    detail: may ? `${persona} may not ${what}, and should${why}` : `${persona} may ${what}, and should not`,
    about,
  })
  return `${came}, wrongly`
}

async function callsOf(tx: Db, access: Access, found: Probed['found']): Promise<Table> {
  const names = Object.keys(access.personas)
  const wanted = access.calls.flatMap(call => (call.personas ?? names).map(name => ({ call, name })))
  const said = await attemptAll(
    tx,
    wanted.map(({ call, name }) => ({ persona: access.personas[name]!, statement: call.sql })),
  )
  const rows = access.calls.map(call => [
    call.name,
    ...names.map(name => {
      const tried = said[wanted.findIndex(w => w.call === call && w.name === name)]
      if (!tried) return '-'
      const came = fate({ name: call.name, operation: 'select', statement: call.sql }, tried)
      const attempt = {
        object: call.name,
        persona: name,
        what: 'do it',
        may: call.may.includes(name),
        about: [],
      }
      return judgeCell(attempt, came, tried, found)
    }),
  ])
  return { title: 'Who may do what: attempts', columns: ['attempt', ...names], rows }
}

/**
 * What the policies cost for what the application asks, by EXPLAIN as the first persona: who is asking must
 * be found out once and not for every row, and a large table must not be read from end to end.
 */
async function policyCosts(tx: Db, access: Access): Promise<Finding[]> {
  const found: Finding[] = []
  const persona: Persona = Object.values(access.personas)[0]!
  for (const t of access.tables) {
    if (t.reads === null) continue
    const plan = await explainAs(tx, persona, t.reads)
    if (plan === null) continue
    for (const node of planNodes(plan)) {
      const filter = node.Filter ?? ''
      if (/\b(auth\.(uid|jwt|role)|current_setting)\(/.test(filter) && node['Node Type'] !== 'Result')
        found.push(finding('POLICY_PER_ROW', t.table, { filter, node: node['Node Type'] }))
      if (node['Node Type'] === 'Seq Scan') {
        const name = tableText({ schema: node.Schema!, name: node['Relation Name']! })
        const size = await rowEstimate(tx, name)
        if (size > largeTable)
          found.push(finding('POLICY_SCANS', name, { rows: size, filter: filter || null }))
      }
    }
  }
  return found
}

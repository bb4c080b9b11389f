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
 * A table with more rows is never read completely: neither by queries of the application, nor by a matrix
 * unless it is deep.
 */
const largeTable = 10_000

/** Seeds rows and lets every persona try every operation on every table, in every way (`Door`). */
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

/** The result of a try. `fault` is an error in a policy or trigger, which is neither allowed nor denied. */
type Fate = 'allowed' | 'denied' | 'fault'

/** A way to a table's rows, with the operation whose permission it needs. */
interface Door extends Omit<Try, 'persona'> {
  name: string
  operation: Operation
  /** True for a partition that is read directly. A role that may read the table may lack the right to it. */
  partition?: boolean
  /** Objects of the catalog that allow it, by their names in `catalogOf`. */
  about?: string[]
  /** True if it tries to change all rows. Then many changed rows are an error, also other rows. */
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

/** One table of the matrix: a row for each door, a column for each persona. */
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
  // if an update of the whole table raised no error and did not change the owner's row, that row is out of
  // reach for all such updates
  const outOfReach = new Map<string, TryResult>()
  for (const door of doors.filter(d => d.sweeps)) {
    for (const [name, tried] of outOfReach) tries.get(door)!.set(name, tried)
    // a persona that may move its rows is skipped: nothing to learn, and all its rows would change
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
 * The result of a try. A constraint is checked after the policies, so its error means that the policies
 * allowed the statement. An error inside a policy is a fault, not a denial.
 */
function fate(door: Door, tried: TryResult): Fate {
  if (tried.fault) {
    const { code } = tried.fault
    if (code === '42501') return 'denied'
    // a trigger may raise any error before policies are checked; the server's own constraints come after them
    return code.startsWith('23') && tried.fault.constraint ? 'allowed' : 'fault'
  }
  if (door.sweeps) return tried.seen || tried.rows >= wideUpdateLimit ? 'allowed' : 'denied'
  if (door.lookAfter) return tried.seen ? 'allowed' : 'denied'
  return tried.rows > 0 ? 'allowed' : 'denied'
}

/** A persona that tries something, and whether it may. */
interface AccessAttempt {
  object: string
  persona: string
  what: string
  may: boolean
  about: string[]
}

/** The cell of the matrix for a try. A wrong result is added to `found`. */
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
 * Runs EXPLAIN on the application's queries as the first persona. It reports policies that find out the
 * current user once for every row, and large tables that are read completely.
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

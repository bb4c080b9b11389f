import { setLocal } from '../database/connection.sql.js'
import { faultText, isRefused } from '../database/faults.js'
import { savepoint } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { movedNames } from '../files/moved_names.js'
import { parseStatements, type Statement } from '../files/statements.js'
import { partText, tableText } from '../model/table_name.js'
import { relationsRead } from '../plan/access_changes.js'
import { stubOfPolicy } from '../plan/access_changes.sql.js'
import type { AccessChange } from '../plan/access_types.js'
import { withoutTwins } from '../plan/twin_faults.js'
import { twinSchema } from '../plan/twin_statements.js'
import {
  addPolicy,
  closePath,
  columnsAsked,
  type Filling,
  fillTwin,
  leaveTwin,
  makePolicyTwin,
  openSchema,
  openTwin,
  runIn,
  type SeenRows,
  type Seer,
  type Subject,
  seenBy,
  twinQuery,
} from './visibility_twins.sql.js'

/** Lock timeout in milliseconds. The originals are only locked in ACCESS SHARE mode. */
const twinWaitMs = 50
/** Time limit of a statement that changes the catalog, in milliseconds. */
const changeMs = 5000
/**
 * Time limit of a query on a table for all seers, in milliseconds, and the addition for each million rows.
 */
const twinLookMs = 5000
const lookMsForAMillion = 2000

/** Thrown for what could not be predicted, with the reason. */
export class NotForeseen extends Error {}

/** A statement of a pending file with its changes of access. */
export interface PlayedStatement {
  statement: Statement
  changes: AccessChange[]
}

/**
 * Twins of tables. Policies, row security and rights are changed on the twins as the pending files will
 * change them. Twins have the originals' rows, reduced to what policies read, and nobody waits for their
 * locks. Roles, functions and schemas are changed themselves. Everything is in a transaction that is rolled
 * back.
 */
export class Twins {
  private readonly twins: Map<string, { schema: string; name: string }>
  /** By table, names of policies that do not apply to reads. */
  private readonly silent = new Map<string, Set<string>>()

  constructor(
    private readonly tx: Db,
    readonly subjects: Subject[],
    /** The search_path of the files. */
    private readonly path: string,
  ) {
    this.twins = new Map(subjects.map(s => [s.table, { schema: twinSchema(s.schema), name: s.name }]))
  }

  /** The name of a table's twin. */
  twinOf(table: string): string {
    return tableText(this.twins.get(table)!)
  }

  private readonly schemaFor = (schema: string, name: string): string | null =>
    this.twins.get(tableText({ schema, name }))?.schema ?? null

  private readonly moved = (text: string): Promise<string> => movedNames(text, this.schemaFor)

  async make(): Promise<void> {
    await setLocal(this.tx, twinWaitMs, changeMs)
    await closePath(this.tx)
    this.silent.clear()
    for (const schema of new Set([...this.twins.values()].map(t => t.schema)))
      await openSchema(this.tx, schema)
    // a policy may read another twin, so create all twins first
    for (const s of this.subjects) {
      await makePolicyTwin(this.tx, s, this.twins.get(s.table)!)
      this.silent.set(s.table, new Set(s.policies.filter(p => !p.reads).map(p => p.name)))
    }
    for (const s of this.subjects)
      for (const p of s.policies)
        await addPolicy(this.tx, this.twinOf(s.table), p, p.using === null ? null : await this.moved(p.using))
  }

  /** The tables that queries in policies read. For these it matters how many rows are equal. */
  async areCounted(files: PlayedStatement[][]): Promise<Set<string>> {
    const read = new Set<string>()
    for (const s of this.subjects)
      for (const { using } of s.policies)
        if (using !== null)
          for (const { node } of await parseStatements(`select ${using}`))
            for (const name of relationsRead(node)) read.add(name)
    for (const { statement } of files.flat())
      if (/PolicyStmt$/.test(statement.kind))
        for (const name of relationsRead([statement.node.qual, statement.node.with_check])) read.add(name)
    return read
  }

  /** Runs the changes of a file. Throws NotForeseen if the server refuses one. */
  async play(file: PlayedStatement[]): Promise<void> {
    await setLocal(this.tx, twinWaitMs, changeMs)
    const open = twinSchema('public')
    const own = [...this.twins.values()].some(t => t.schema === open)
    const twinPath = [own ? partText(open) : '', this.path].filter(Boolean).join(', ')
    for (const { statement, changes } of file) {
      try {
        if (changes.some(c => c.on === 'server')) await runIn(this.tx, this.path, statement.text)
        for (const change of changes)
          if (change.on === 'table') await this.playOn(statement, change, twinPath)
      } catch (error) {
        if (!isRefused(error)) throw error
        throw new NotForeseen(withoutTwins(faultText(error)))
      }
    }
    await closePath(this.tx)
  }

  private async playOn(
    statement: Statement,
    { table, sql, policy }: Extract<AccessChange, { on: 'table' }>,
    path: string,
  ): Promise<void> {
    const tables = this.subjects
      .filter(s => (table.endsWith('.*') ? partText(s.schema) === table.slice(0, -2) : s.table === table))
      .map(s => s.table)
    for (const t of tables) {
      const silent = this.silent.get(t)!
      if (policy) {
        const { name, becomes, reads } = policy
        const isSilent = reads === null ? silent.has(name) : !reads
        silent.delete(name)
        if (isSilent && becomes !== null) silent.add(becomes)
        // policies for writes are not examined
        if (isSilent && reads === null && statement.kind === 'AlterPolicyStmt') continue
        if (isSilent && reads === false) {
          await runIn(this.tx, path, stubOfPolicy(name, this.twinOf(t)))
          continue
        }
      }
      await runIn(this.tx, path, sql ? sql(this.twinOf(t)) : await this.moved(statement.text))
    }
  }

  /** The columns of each table that SELECT policies read. */
  async asked(): Promise<Map<string, string[]>> {
    const asked = new Map<string, string[]>()
    for (const s of this.subjects) {
      const { columns, whole, system } = await columnsAsked(this.tx, this.twinOf(s.table), true)
      if (system) throw new NotForeseen(`a policy of ${s.table} asks where its rows are stored`)
      asked.set(s.table, whole ? s.columns : columns.filter(c => s.columns.includes(c)))
    }
    return asked
  }

  /**
   * Reads a table once into its twin. Returns the number of its rows. Throws NotForeseen if it takes too
   * long.
   */
  async fill(s: Subject, filling: Omit<Filling, 'table' | 'twin'>): Promise<number> {
    return this.inTime(s, `the rows of ${s.table} could not be read`, inside =>
      fillTwin(inside, { ...filling, table: s.table, twin: this.twinOf(s.table) }),
    )
  }

  /** Deletes from a twin the rows that a step removes from the original. */
  async leave(table: string, migration: string): Promise<void> {
    await leaveTwin(this.tx, this.twinOf(table), migration)
  }

  /** What all seers see of a table. Throws NotForeseen if it takes too long. */
  async look(s: Subject, seers: Seer[]): Promise<SeenRows[]> {
    const table = this.twinOf(s.table)
    return this.inTime(s, `who sees which rows of ${s.table} was not found out`, async inside => {
      await openTwin(inside, table)
      return seenBy(inside, seers, { query: twinQuery(table), table, schema: s.schema })
    })
  }

  private async inTime<T>(s: Subject, what: string, work: (tx: Db) => Promise<T>): Promise<T> {
    try {
      return await savepoint(this.tx)(async inside => {
        await setLocal(inside, twinWaitMs, twinLookMs + Math.ceil((s.rows / 1e6) * lookMsForAMillion))
        return work(inside)
      })
    } catch (error) {
      if (!isRefused(error)) throw error
      throw new NotForeseen(`${what}: ${faultText(error)}`)
    }
  }
}

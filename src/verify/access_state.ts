import { namesIn } from '../model/table_name.js'
import { relationsRead } from '../plan/access_changes.js'
import type { AccessChange } from '../plan/access_types.js'
import { twinSchema } from '../plan/twin_statements.js'
import { policyReach } from './policy_reach.js'
import type { CalledFunction, ReadBy } from './policy_reach.sql.js'
import type { Subject } from './visibility_twins.sql.js'

/** The effect of the files that were run on twins so far, and the part of it that twins cannot show. */
export class AccessState {
  /** Why nothing is known from here on; null if something is. */
  everything: string | null = null
  /** True after the server has refused a file: the twins are not changed any further. */
  stopped = false
  private readonly tables = new Map<string, string>()
  private readonly functions = new Map<string, string>()
  private readonly written = new Map<string, { by: string; columns: string[] | null }[]>()
  private readonly made = new Map<string, string>()
  /** Tables whose policies, row security or rights have changed, with the migration. */
  private readonly access = new Map<string, string>()
  private changed = false

  constructor(
    /** The columns that policies read, by table. */
    private readonly asked: ReadonlyMap<string, string[]> = new Map(),
    private readonly subjects: Subject[] = [],
    /** Existing functions that the files change. */
    private readonly changedFunctions: ReadonlySet<string> = new Set(),
  ) {}

  /** Notes what a migration changes. */
  note(migration: string, change: AccessChange): void {
    switch (change.on) {
      case 'table':
        for (const table of this.matching(change.table)) {
          this.access.set(table, migration)
          this.changed = true
        }
        return
      case 'server':
        return
      case 'relation':
        this.made.set(change.relation, migration)
        if (this.isSubject(change.relation)) this.changed = true
        return
      case 'rows': {
        const { table, columns } = change
        this.written.set(table, [...(this.written.get(table) ?? []), { by: migration, columns }])
        if (this.isSubject(table)) this.changed = true
        return
      }
      case 'unknown':
        if (
          change.tables === null ||
          change.tables.some(t => this.isSubject(t)) ||
          change.functions.some(f => this.changedFunctions.has(f))
        )
          this.changed = true
        for (const f of change.functions) this.functions.set(f, migration)
        if (change.tables === null) this.everything ??= onlyRunning(migration)
        else for (const table of change.tables) this.tables.set(table, onlyRunning(migration))
    }
  }

  /** Notes that nothing after this migration can be tried. */
  stop(migration: string, reason: string): void {
    this.stopped = true
    this.changed = true
    this.everything ??= `${migration} cannot be tried before it runs: ${reason}`
  }

  /** If a migration writes rows of a table whose triggers may write other rows, nothing is known after it. */
  noteTriggers(migration: string, firing: ReadonlySet<string>): void {
    for (const [table, writes] of this.written)
      if (firing.has(table) && writes.some(w => w.by === migration)) {
        this.changed = true
        this.everything ??= `${migration} has rows of ${table} to write before, whose triggers may write other rows`
      }
  }

  /** Whether a change that may affect visibility was noted since the last call. */
  takeChanged(): boolean {
    const { changed } = this
    this.changed = false
    return changed
  }

  /** The migration that creates a relation which an expression reads; null if there is none. */
  makes(expression: unknown): string | null {
    for (const relation of relationsRead(expression)) {
      const by = this.made.get(relation)
      if (by) return by
    }
    return null
  }

  /** Why the visibility of a table's rows is unknown now; null if the twins show it. */
  whyUnknown(
    table: string,
    twin: string,
    graph: { reads: ReadBy[]; functions: CalledFunction[] },
  ): string | null {
    const own = this.everything ?? this.tables.get(table) ?? this.whyWritten(table, true)
    if (own) return own
    const moved = this.made.get(table)
    if (moved) return `${moved} moves it or takes it away`
    const relations = new Set([...this.access.keys(), ...this.written.keys(), ...this.made.keys()])
    const reach = policyReach(twin, graph, relations)
    for (const f of reach.functions) {
      const by = this.functions.get(f)
      if (by) return `${by} makes ${f}, and only running it shows how`
    }
    if (reach.dynamic && relations.size > 0)
      return `its policies call ${reach.dynamic}, which puts its statements together`
    for (const [name, { by, passes }] of reach.relations) {
      const original = this.originalOf(name)
      const through = by === null ? 'its policies read' : `${by} reads`
      const written = this.whyWritten(original ?? name, false)
      if (written) return `${through} ${original ?? name}; ${written}`
      // a twin has the changed policies
      if (original !== null) continue
      const made = this.made.get(name)
      if (made) return `${through} ${name}, which ${made} makes`
      const access = this.access.get(name)
      if (access && !passes) return `${through} ${name}, whose policies or rights ${access} changes too`
      if (this.tables.has(name)) return `${through} ${name}; ${this.tables.get(name)}`
    }
    return null
  }

  private whyWritten(table: string, own: boolean): string | null {
    for (const { by, columns } of this.written.get(table) ?? []) {
      const asked = own || this.isSubject(table) ? this.asked.get(table) : undefined
      if (columns && asked && !columns.some(c => asked.includes(c))) continue
      return `${by} has rows of ${table} to write before`
    }
    return null
  }

  private isSubject(table: string): boolean {
    return this.subjects.some(s => s.table === table)
  }

  private matching(table: string): string[] {
    return table.endsWith('.*')
      ? this.subjects.filter(s => s.table.startsWith(table.slice(0, -1))).map(s => s.table)
      : this.subjects.length === 0 || this.isSubject(table)
        ? [table]
        : []
  }

  /** The table whose twin has this name; null if it is no twin. */
  private originalOf(name: string): string | null {
    const [schema, table] = namesIn(name) ?? []
    return this.subjects.find(s => s.name === table && twinSchema(s.schema) === schema)?.table ?? null
  }
}

/** The reason for a migration whose effect is only known when it runs. */
export const onlyRunning = (migration: string): string => `only running ${migration} shows what it changes`

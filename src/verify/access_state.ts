import { namesIn } from '../model/table_name.js'
import { relationsRead } from '../plan/access_changes.js'
import type { AccessChange } from '../plan/access_types.js'
import { twinSchema } from '../plan/twin_statements.js'
import { policyReach } from './policy_reach.js'
import type { CalledFunction, ReadBy } from './policy_reach.sql.js'
import type { Subject } from './visibility_twins.sql.js'

/** What the files played so far have changed, and what of it twins cannot show. */
export class AccessState {
  /** Why nothing can be said from here on; null where something can. */
  everything: string | null = null
  /** The server has refused a file: the twins are not changed any further. */
  stopped = false
  private readonly tables = new Map<string, string>()
  private readonly functions = new Map<string, string>()
  private readonly written = new Map<string, { by: string; columns: string[] | null }[]>()
  private readonly made = new Map<string, string>()
  /** Tables whose policies, row security or rights have changed, with the migration. */
  private readonly access = new Map<string, string>()
  private changed = false

  constructor(
    /** The columns that policies ask for, by table. */
    private readonly asked: ReadonlyMap<string, string[]> = new Map(),
    private readonly subjects: Subject[] = [],
    /** Functions that are there and that the files change. */
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

  /** Nothing that comes after this migration can be played. */
  stop(migration: string, reason: string): void {
    this.stopped = true
    this.changed = true
    this.everything ??= `${migration} can't be tried before it runs: ${reason}`
  }

  /** A migration that writes rows of a table whose triggers may write other rows leaves nothing to say. */
  noteTriggers(migration: string, firing: ReadonlySet<string>): void {
    for (const [table, writes] of this.written)
      if (firing.has(table) && writes.some(w => w.by === migration)) {
        this.changed = true
        this.everything ??= `${migration} has rows of ${table} to write before, whose triggers may write other rows`
      }
  }

  /** Whether anything was noted that may change who sees what, since this was last asked. */
  takeChanged(): boolean {
    const { changed } = this
    this.changed = false
    return changed
  }

  /** The migration that makes a relation which an expression reads; null where none does. */
  makes(expression: unknown): string | null {
    for (const relation of relationsRead(expression)) {
      const by = this.made.get(relation)
      if (by) return by
    }
    return null
  }

  /** Why nobody can say who sees rows of a table now; null where the twins show it. */
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
      // a twin has the new policies
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

  /** The table whose twin a name is; null for any other. */
  private originalOf(name: string): string | null {
    const [schema, table] = namesIn(name) ?? []
    return this.subjects.find(s => s.name === table && twinSchema(s.schema) === schema)?.table ?? null
  }
}

/** Why it is not known what a migration changes. */
export const onlyRunning = (migration: string): string => `only running ${migration} shows what it changes`

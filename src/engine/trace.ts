import type { ForeignKey } from '../model/plan.js'
import type { Lock, StatementTrace } from '../model/report.js'
import type { Migration } from '../model/workspace.js'
import {
  allForeignKeys,
  type HeldLock,
  heldLocks,
  indexTables,
  type Places,
  places,
  rewritten,
  walPosition,
} from '../sql/trace.js'
import type { Db } from '../sql/types.js'
import { indexName, parseStatements, relationName, type Statement } from '../workspace/statements.js'
import type { Clock } from './context.js'
import { blocks, type Known, type LockMode, lockModes, locksOf } from './locks.js'

/** What the catalog says, to foretell locks. */
export async function knownOf(sql: Db): Promise<Known & { learn(s: Statement): void }> {
  const foreignKeys: ForeignKey[] = [...(await allForeignKeys(sql))]
  const indexes = await indexTables(sql)
  const standing = new Set([...(await places(sql)).values()].map(p => p.name))
  return {
    foreignKeys,
    tableOf: index => indexes.get(index) ?? null,
    exists: name => standing.has(name),
    // what earlier statements of a plan will have made
    learn: s => {
      if (s.kind === 'CreateStmt') standing.add(relationName(s.node.relation))
      if (s.kind === 'ViewStmt') standing.add(relationName(s.node.view))
      if (s.kind === 'IndexStmt' && s.node.idxname)
        indexes.set(indexName(s.node), relationName(s.node.relation))
    },
  }
}

/**
 * A comment above a statement that only running it could tell: `-- locks: public.chats ACCESS EXCLUSIVE`, one
 * a table, or `-- locks: none`.
 */
const declared = /^--[ \t]*locks:[ \t]*(?:(none)|(\S+)[ \t]+([A-Z ]+?))[ \t]*$/gm

/** Schemas that no statement of an application reads or writes by itself. */
const aside = /^(rethread_archive|rethread)\./

/**
 * The locks of a file's statements on tables that stand before it; `made` gathers those that the plan itself
 * makes, which nobody else uses yet.
 */
export async function lockFile(
  text: string,
  known: Known & { learn(s: Statement): void },
  made: Set<string>,
): Promise<Lock[]> {
  const found: Lock[] = []
  let end = 0
  for (const [index, s] of (await parseStatements(text)).entries()) {
    const above = text.slice(end, s.offset)
    end = s.offset + s.text.length
    const said = locksOf(s, known)
    const comments = [...above.matchAll(declared)]
    const told = comments.flatMap(m => (m[1] ? [] : [{ table: m[2]!, mode: m[3]! as LockMode }]))
    const locks = said ?? told.map(l => ({ ...l, blocks: blocks(l.mode) }))
    if (said === null && comments.length === 0)
      found.push({ statement: index + 1, table: null, mode: 'UNKNOWN', blocks: 'nothing', heldMs: null })
    for (const l of locks)
      if (!made.has(l.table) && !aside.test(l.table)) found.push({ statement: index + 1, ...l, heldMs: null })
    if (s.kind === 'CreateStmt') made.add(relationName(s.node.relation))
    known.learn(s)
  }
  return found
}

/** Tables that migrations make. */
export async function madeBy(migrations: Migration[]): Promise<Set<string>> {
  const made = new Set<string>()
  for (const m of migrations)
    for (const s of await parseStatements(m.file.text))
      if (s.kind === 'CreateStmt') made.add(relationName(s.node.relation))
  return made
}

/** Locks that somebody waits for, in words, with how long they were held; null when nobody waits. */
export const waitedFor = (locks: Lock[]): string | null =>
  locks
    .filter(l => l.blocks !== 'nothing')
    .map(l => `${l.table} ${l.mode} ${Math.round(l.heldMs ?? 0)} ms`)
    .join(', ') || null

/** Watches the statements of one transaction: what each newly locks, rewrites, changes and logs. */
export class Tracer {
  readonly traces: (StatementTrace & { taken: { lock: Lock; at: number }[] })[] = []
  private held = new Map<string, LockMode>()

  constructor(
    private readonly sql: Db,
    private readonly clock: Clock,
    /** A second session that looks while a statement runs, for those that run outside of a transaction. */
    private readonly watcher: { sql: Db; pid: number } | null = null,
  ) {}

  /** Runs one statement and notes what it took. */
  async run(text: string, work: () => Promise<number>): Promise<void> {
    const before = await places(this.sql)
    const wal = await walPosition(this.sql)
    const start = this.clock.now()
    const seen = this.watcher ? this.look(before, this.watcher) : null
    const rows = await work()
    const ms = this.clock.now() - start
    const held = seen ? await seen() : await heldLocks(this.sql, before)
    const after = await places(this.sql)
    const walBytes = Math.max(0, (await walPosition(this.sql)) - wal)
    const statement = this.traces.length + 1
    const taken = this.strongest(held).map(({ table, mode }) => ({
      lock: { statement, table, mode, blocks: blocks(mode), heldMs: this.watcher ? ms : null } as Lock,
      at: start,
    }))
    this.traces.push({
      statement,
      text,
      ms,
      locks: taken.map(t => t.lock),
      rewritten: rewritten(before, after),
      rows,
      walBytes,
      taken,
    })
  }

  /** At the end of the transaction: how long each lock was held. */
  end(): StatementTrace[] {
    const now = this.clock.now()
    for (const t of this.traces) for (const { lock, at } of t.taken) lock.heldMs ??= now - at
    return this.traces.map(({ taken: _, ...t }) => t)
  }

  /**
   * The strongest lock on each table that this session did not hold before; weaker ones than
   * ROW EXCLUSIVE block nobody.
   */
  private strongest(held: HeldLock[]): { table: string; mode: LockMode }[] {
    const best = new Map<string, LockMode>()
    for (const { table, mode } of held) {
      const known = mode as LockMode
      if (lockModes.indexOf(known) < lockModes.indexOf('ROW EXCLUSIVE')) continue
      const old = best.get(table)
      if (!old || lockModes.indexOf(old) < lockModes.indexOf(known)) best.set(table, known)
    }
    const fresh = [...best].filter(([table, mode]) => {
      const old = this.held.get(table)
      return !aside.test(table) && (!old || lockModes.indexOf(old) < lockModes.indexOf(mode))
    })
    for (const [table, mode] of fresh) if (!this.watcher) this.held.set(table, mode)
    return fresh.map(([table, mode]) => ({ table, mode }))
  }

  /** Looks from outside every few milliseconds until asked to stop. */
  private look(before: Places, { sql, pid }: { sql: Db; pid: number }): () => Promise<HeldLock[]> {
    const all: HeldLock[] = []
    let on = true
    const looking = (async () => {
      while (on) {
        all.push(...(await heldLocks(sql, before, pid)))
        await this.clock.sleep(0)
      }
    })()
    return async () => {
      on = false
      await looking
      return all
    }
  }
}

import type { Clock } from '../database/context.js'
import { aside } from '../database/known.js'
import type { Db } from '../database/types.js'
import { parseStatements, relationName } from '../files/statements.js'
import { blocks, isStronger, type LockMode, lockModes } from '../model/lock_mode.js'
import type { Migration } from '../model/project.js'
import type { Lock, StatementTrace } from '../model/report.js'
import { type HeldLock, heldLocks, type Places, places, rewritten, walPosition } from './lock_trace.sql.js'

/** Tables that migrations create. */
export async function tablesMadeBy(migrations: Migration[]): Promise<Set<string>> {
  const made = new Set<string>()
  for (const m of migrations)
    for (const s of await parseStatements(m.file.text))
      if (s.kind === 'CreateStmt') made.add(relationName(s.node.relation))
  return made
}

/** Locks that others wait for, in words with their duration; null if there are none. */
export const waitedFor = (locks: Lock[]): string | null =>
  locks
    .filter(l => l.blocks !== 'nothing')
    .map(l => `${l.table} ${l.mode} ${Math.round(l.heldMs ?? 0)} ms`)
    .join(', ') || null

/** Records for each statement of a transaction what it locks, rewrites, changes and logs. */
export class Tracer {
  readonly traces: (StatementTrace & { taken: { lock: Lock; at: number }[] })[] = []
  private held = new Map<string, LockMode>()

  constructor(
    private readonly sql: Db,
    private readonly clock: Clock,
    /** A second session that observes statements which run outside of a transaction. */
    private readonly watcher: { sql: Db; pid: number } | null = null,
  ) {}

  /** Runs one statement and records its effects. */
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

  /** At the end of the transaction: adds how long each lock was held. */
  end(): StatementTrace[] {
    const now = this.clock.now()
    for (const t of this.traces) for (const { lock, at } of t.taken) lock.heldMs ??= now - at
    return this.traces.map(({ taken: _, ...t }) => t)
  }

  /** The strongest new lock on each table. Modes weaker than ROW EXCLUSIVE block nobody. */
  private strongest(held: HeldLock[]): { table: string; mode: LockMode }[] {
    const best = new Map<string, LockMode>()
    for (const { table, mode } of held) {
      const known = mode as LockMode
      if (lockModes.indexOf(known) < lockModes.indexOf('ROW EXCLUSIVE')) continue
      const old = best.get(table)
      if (!old || isStronger(known, old)) best.set(table, known)
    }
    const fresh = [...best].filter(([table, mode]) => {
      const old = this.held.get(table)
      return !aside.test(table) && (!old || isStronger(mode, old))
    })
    for (const [table, mode] of fresh) if (!this.watcher) this.held.set(table, mode)
    return fresh.map(([table, mode]) => ({ table, mode }))
  }

  /** Observes the session's locks every few milliseconds until the returned function is called. */
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

import { randomBytes } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type HazardCode, openProject, type Report } from '../../src/index.js'
import { contentHash } from '../../src/run/schema_snapshot.sql.js'
import { type Database, database, newest, open, servers } from '../support/database.js'
import { said } from '../support/in_process.js'
import type { Server } from '../support/servers.js'
import { type SmallDisk, smallDisk } from '../support/small_disk.js'

const soaks = process.env.RETHREAD_SOAK !== undefined
/** Kilobytes that are left: too few for the tool's own tables, for a backfill, for an archive. */
const left = soaks ? [0, 100, 600, 1000, 2000, 3000] : [600]

/** The user that a server on this machine runs as; null of one that is elsewhere. */
async function ownerOf(server: Server): Promise<number | null> {
  const admin = open(server.url, 1)
  const [row] = await admin`select current_setting('data_directory') as folder`
  await admin.end()
  return existsSync(join(row!.folder, 'postmaster.pid')) ? statSync(row!.folder).uid : null
}

/** A database on a small disk. */
async function databaseOn(disk: SmallDisk, server: Server, messages: number) {
  const space = `small_${randomBytes(4).toString('hex')}`
  const admin = open(server.url, 1)
  await admin.unsafe(`create tablespace ${space} location '${disk.folder}'`)
  const db = await database(server, 'workspace-sessions', messages)
  await admin.unsafe(`alter database ${db.name} set tablespace ${space}`)
  return {
    db,
    [Symbol.asyncDispose]: async () => {
      disk.empty()
      await db[Symbol.asyncDispose]()
      await admin.unsafe(`drop tablespace ${space}`)
      await admin.end()
    },
  }
}

/** What the application has: its messages, by count and content. */
const messages = (db: Database) =>
  contentHash(db.sql, 'public.chats', ['id', 'workspace_id', 'user_id', 'role', 'message', 'created_at'])

/** Which session each message is in. */
const sessionsOf = (db: Database) => contentHash(db.sql, 'public.chats', ['id', 'session_id'])

/** Codes that say what is wrong and what to do. */
const saysWhy = ['OUT_OF_RESOURCES', 'SQL_ERROR']

test.for(soaks ? servers() : [newest()])(
  'PostgreSQL $major: a full disk ends each command soon, and with room again the same command ends it',
  { timeout: 1_800_000 },
  async (server, { skip }) => {
    const owner = await ownerOf(server)
    using disk = owner === null ? null : smallDisk(70, owner)
    if (!disk) return skip('no small disk can be mounted for the server, which may be in a container')
    await using made = await databaseOn(disk, server, soaks ? 6000 : 1500)
    const { db } = made
    const project = await openProject({
      databaseUrl: db.url,
      track: 'workspace-sessions',
      config: { lockBudgetSeconds: 1 },
    })
    const allow: HazardCode[] = ['DELETES_DATA', 'IGNORES_RECENT_WRITES', 'IGNORES_DRIFT']
    const away = { all: true, consent: { allow, confirm: db.name } }
    const before = await messages(db)
    /** Runs a verb with too little room, then with enough; the verdict and the codes of the first. */
    const twice = async (verb: () => Promise<Report>, kilobytes: number): Promise<string[]> => {
      disk.fill(kilobytes)
      const start = performance.now()
      const full = await said(verb())
      const seconds = (performance.now() - start) / 1000
      disk.empty()
      const errors = full.findings.filter(f => f.level === 'error')
      expect([seconds < 30, full.verdict, errors.filter(f => !saysWhy.includes(f.code))]).toEqual([
        true,
        errors.length > 0 ? 'failed' : 'clean',
        [],
      ])
      expect(await messages(db)).toEqual(before)
      const again = await said(verb())
      expect([again.verdict, again.findings.filter(f => f.level === 'error')]).toEqual(['clean', []])
      expect(await messages(db)).toEqual(before)
      return [full.verdict, ...errors.map(f => `${f.code}: ${f.message}`)]
    }
    const came: string[][] = []
    for (const kilobytes of left) {
      came.push(await twice(() => project.migrate(), kilobytes))
      // people give sessions of their own to half of their messages
      await db.sql.unsafe(`
        with s as (
          insert into public.chat_sessions (workspace_id, user_id, title)
          select id, owner_id, 'Mine' from public.workspaces where owner_id is not null order by id limit 9
          returning id, workspace_id)
        update public.chats c set session_id = s.id from s where c.workspace_id = s.workspace_id and c.id < '80000000-0000-0000-0000-000000000000'`)
      const sessions = await sessionsOf(db)
      came.push(await twice(() => project.rollback(away), kilobytes))
      came.push(await twice(() => project.restore({ archive: 'latest' }), kilobytes))
      expect(await sessionsOf(db)).toEqual(sessions)
      expect((await said(project.rollback(away))).verdict).toBe('clean')
      await db.sql.unsafe('drop schema rethread cascade; drop schema rethread_archive cascade')
      await db.sql.unsafe('vacuum full')
    }
    // it did run full, and whoever reads the report learns of what
    expect(came.filter(([verdict]) => verdict === 'failed').length).toBeGreaterThan(left.length)
    expect(came.flat().join(' ')).toMatch(/No space left on device|wrote only/)
  },
)

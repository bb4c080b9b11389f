import { mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { rethread } from '../support/cli.js'
import { database, some } from '../support/database.js'

/** A password that has to be written in another way in a URL; neither way may show anywhere. */
const password = 'Tr0ub4dor/&3:x'
const traces = [password, encodeURIComponent(password), 'Tr0ub4dor']

describe.each(some('newest'))('secrets on PostgreSQL $major', server => {
  test('a password of the URL is in no output, in no ledger, and in nothing that others see of the sessions', async () => {
    await using db = await database(server, 'workspace-sessions', 200)
    const url = new URL(db.url)
    url.password = encodeURIComponent(password)
    const shown: string[] = []
    const folder = mkdtempSync('/tmp/rethread-secrets-')
    // what everybody on the server sees while a command works
    let isRunning = true
    let looks = 0
    const watch = (async () => {
      while (isRunning) {
        const rows = await db.sql<{ text: string }[]>`
          select a::text as text from pg_stat_activity a where a.pid <> pg_backend_pid() and a.datname = current_database()`
        looks += rows.length
        shown.push(...rows.map(r => r.text))
        await new Promise(done => setTimeout(done, 5))
      }
    })()
    const run = async (args: string[], at = url.toString()) => {
      const ran = await rethread(at, args, { json: false })
      shown.push(ran.stdout, ran.stderr)
      return ran.code
    }
    const plan = join(folder, 'plan.json')
    const page = join(folder, 'page.html')
    const wrong = new URL(url)
    wrong.pathname = '/no_such_database'
    expect(await run(['plan', '--out', plan, '--format', 'html', '--output', page])).toBe(0)
    expect(await run(['migrate', '--plan', plan, '--verbose', '--reason', 'a reason'])).toBe(0)
    for (const format of ['json', 'markdown', 'github', 'html', 'table'])
      expect(await run(['verify', '--only', 'orphaned_messages', '--verbose', '--format', format])).toBe(0)
    for (const format of ['json', 'table'])
      expect(await run(['doctor', '--verbose', '--format', format], wrong.toString())).toBe(2)
    expect(
      await run(['migrate', '--phase', 'nonsense', '--database-url', url.toString(), '--format', 'json']),
    ).toBe(2)
    isRunning = false
    await watch
    expect(looks).toBeGreaterThan(10)
    shown.push(readFileSync(plan, 'utf8'), readFileSync(page, 'utf8'))
    const tables = await db.sql<{ name: string }[]>`
      select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('rethread', 'rethread_archive', 'chat_private') and c.relkind in ('r', 'p')`
    expect(tables.length).toBeGreaterThan(8)
    for (const { name } of tables)
      shown.push(...(await db.sql.unsafe(`select t::text as text from ${name} t`)).map(r => String(r.text)))
    const leaks = shown.filter(text => traces.some(trace => text.includes(trace)))
    expect(leaks.map(text => text.slice(0, 300))).toEqual([])
  })
})

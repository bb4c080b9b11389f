import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { discover } from '../../src/files/discover.js'
import { database, root, servers } from '../support/database.js'
import { inProcess, said } from '../support/in_process.js'

describe.each(servers())('pg $major', server => {
  test.each(discover(root).tracks.map(t => t.name))(
    '%s',
    async track => {
      await using db = await database(server, track, 200)
      const t = discover(root).tracks.find(x => x.name === track)!
      for (const m of t.migrations) {
        if (m.name.startsWith('009_set_aside'))
          await db.sql.unsafe(`insert into rethread_archive.quarantine (track, migration, relation, key, reason, original)
      select 'workspace-sessions', '009_set_aside_unassigned', 'public.chats', chat_private.message_key(c), 'it has no session', to_jsonb(c)
      from public.chats c where c.session_id is null on conflict do nothing`)
        try {
          execFileSync('psql', ['-v', 'ON_ERROR_STOP=1', '-q', '-d', db.url, '-f', join(root, m.file.path)], {
            stdio: 'pipe',
          })
        } catch (e: any) {
          console.log('PSQL', track, m.name, String(e.stderr))
        }
      }
      const project = await inProcess(db.url, { track })
      const last = t.migrations.at(-1)!.name
      const r = await said(project.baseline({ to: last }))
      console.log(track, server.major, 'baseline', r.verdict, r.findings.map(f => f.message).join('\n'))
      const a = await said(project.adopt())
      console.log(track, server.major, 'adopt', a.verdict, a.findings.map(f => f.message).join('\n'))
      const v = await said(project.verify())
      console.log(
        track,
        server.major,
        'verify',
        v.verdict,
        v.checks
          .filter(c => !['pass', 'skipped'].includes(c.outcome))
          .map(c => `${c.check} ${c.outcome} ${c.level} ${c.reason} ${JSON.stringify(c.found.slice(0, 3))}`)
          .join('\n'),
      )
      await db.sql.unsafe('drop schema rethread cascade')
      const b = await said(project.adopt())
      console.log(
        track,
        server.major,
        'adopt again',
        b.verdict,
        b.steps.length,
        b.findings.map(f => f.message).join('\n'),
        b.tables.map(x => x.rows.map(r => r.join(' | ')).join('\n')).join('\n'),
      )
      expect(1).toBe(1)
    },
    60000,
  )
})

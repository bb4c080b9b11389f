import { writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { database, open, servers } from '../support/database.js'
import { byHand } from '../support/half_done.js'
import { inProcess, said } from '../support/in_process.js'

/** Databases in which somebody else's SQL has done the work of a track, wholly or in part. */

const cases = Object.entries(byHand).flatMap(([track, parts]) => parts.map((_, i) => ({ track, run: i + 1 })))

describe.each(servers().slice(-1))('half-done databases on PostgreSQL $major', server => {
  test.each(cases)(
    '$track after $run of its own parts',
    async ({ track, run }) => {
      await using db = await database(server, track, 400)
      await db.sql.unsafe(byHand[track]!.slice(0, run).join('\n'))
      const project = await inProcess(db.url, { track })
      for (let round = 0; round < 4; round++) {
        const report = await said(project.adopt())
        console.log(
          `=== ${track} ${run} round ${round}`,
          report.verdict,
          report.codes.join(),
          report.steps.map(s => s.migration + ' ' + s.outcome).join(),
        )
        for (const t of report.tables) console.log(t.title + '\n' + t.rows.map(r => r.join(' | ')).join('\n'))
        for (const f of report.findings) console.log(f.level, f.message, '\nFIX', f.fix)
        if (!report.fixUp) break
        writeFileSync(`/tmp/adopt_${track}_${run}_${round}.sql`, report.fixUp)
        const one = open(db.url, 1)
        for (const part of report.fixUp
          .split('\ncommit;\n')
          .flatMap((p, i) => (i === 0 ? [p + ';commit'] : p.split(';\n'))))
          await one
            .unsafe(part)
            .catch(e =>
              console.log(
                'FIXUP FAILED',
                e.message,
                String(e.query).slice(Number(e.position ?? 0) - 100, Number(e.position ?? 0) + 100),
              ),
            )
        const left = report.findings.filter(f => f.code === 'ADOPT_CHOICE')
        for (const f of left)
          await one
            .unsafe(
              f.fix!.replace(
                '<a value>',
                f.subject.includes('tenant')
                  ? '(select id from tenants limit 1)'
                  : f.subject.includes('user')
                    ? '(select id from auth.users limit 1)'
                    : "''",
              ),
            )
            .catch(e => console.log('CHOICE FAILED', e.message, f.fix))
        await one.end()
      }
      const up = await said(project.migrate())
      console.log(
        'MIGRATE',
        up.verdict,
        up.findings
          .filter(f => f.level !== 'info')
          .map(f => f.message)
          .join('\n'),
      )
      const verified = await said(project.verify())
      console.log(
        'VERIFY',
        verified.verdict,
        verified.checks
          .filter(c => c.outcome !== 'pass')
          .map(c => `${c.check} ${c.outcome} ${c.level} ${c.reason}`)
          .join('\n'),
      )
      expect(1).toBe(1)
    },
    60000,
  )
})

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { database, root, servers } from '../support/database.js'
import { elementCases } from '../support/elements.js'

/** The shapes in which applications and exports write messages, and what becomes of each. */

const migrations = ['001_create_conversations', '002_keep_both_in_step'].map(name =>
  readFileSync(join(root, `migrations/conversation-history/${name}.sql`), 'utf8'),
)

describe.each(servers())('shapes of messages on PostgreSQL $major', server => {
  test('an element of each shape is the message that it says, or is set aside with the reason', async () => {
    await using db = await database(server, 'conversation-history', 200)
    for (const text of migrations) await db.sql.unsafe(text)
    const names = Object.keys(elementCases)
    const elements = JSON.stringify(Object.values(elementCases).map(c => c.element))
    const rows = await db.sql`
      select r.shape, e.reason, e.role, e.content, e.created_at
      from jsonb_array_elements(${elements}::text::jsonb) with ordinality as x (element, n)
      cross join lateral chat_private.elements(gen_random_uuid(), json_build_array(x.element), '1999-01-01Z') e
      cross join lateral chat_private.read_element(x.element) r
      order by x.n`
    const found = Object.fromEntries(
      rows.map(({ shape, reason, role, content, created_at: at }, i) => [
        names[i],
        {
          shape,
          ...(reason === null ? { becomes: [role, content] } : { becomes: null, reason }),
          at: at.toISOString(),
        },
      ]),
    )
    const expected = Object.fromEntries(
      Object.entries(elementCases).map(([name, { element: _, at = '1999-01-01Z', ...rest }]) => [
        name,
        { ...rest, at: new Date(at).toISOString() },
      ]),
    )
    expect(found).toEqual(expected)
    // an edit of the new application is written where the old one reads, so that it reads the edit
    const wrong = await db.sql`
      select x.element, t.role, t.content, r.role as role_now, r.content as content_now
      from jsonb_array_elements(${elements}::text::jsonb) x (element)
      cross join lateral chat_private.elements(gen_random_uuid(), json_build_array(x.element), '1999-01-01Z') e
      cross join (values ('assistant', null), (null, 'edited'), ('user', 'edited'), (null, null)) w (role, content)
      cross join lateral (select coalesce(w.role, e.role) as role, coalesce(w.content, e.content) as content) t
      cross join lateral chat_private.restated_element(x.element, t.role, t.content) s (element)
      cross join lateral chat_private.elements(gen_random_uuid(), json_build_array(s.element), '1999-01-01Z') r
      where e.reason is null and ((r.role, r.content, r.reason) is distinct from (t.role, t.content, null)
        or (w.role, w.content) is not distinct from (null, null) and s.element <> x.element
        or s.element::text like '%"Line 2."%' and t.content = 'edited')`
    expect([...wrong]).toEqual([])
  })
})

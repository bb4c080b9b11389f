import { isLost } from './faults.js'
import type { Root } from './types.js'
import type { Wire } from './wire.js'

/**
 * Makes transactions and reserved connections reject what is sent after a connection was lost. postgres.js
 * (3.4.9) would write it to a closed socket, and the resulting TypeError ends the process.
 */
export function refuseWhenLost(sql: Root, wire: Wire): void {
  const isGone = () => wire.lost
  type Work = (tx: object) => Promise<unknown>
  const guarded = <T extends object>(db: T): T => {
    const refused = () =>
      Promise.reject(Object.assign(new Error('the connection is gone'), { code: 'CONNECTION_CLOSED' }))
    // like begin() below: what waits for the savepoint is rejected, so that its work can end
    const savepoint = (...given: [...unknown[], Work]) => {
      const work = given.pop() as Work
      return new Promise((resolve, reject) => {
        const inner = (tx: object) =>
          work(guarded(tx)).catch(error => {
            if (!isGone()) throw error
            reject(error)
            return new Promise(() => {})
          })
        ;(db as { savepoint(...all: unknown[]): Promise<unknown> })
          .savepoint(...given, inner)
          .then(resolve, reject)
      })
    }
    return new Proxy(db, {
      apply: (send, _, given) =>
        isGone() && Array.isArray(given[0]?.raw) ? refused() : Reflect.apply(send as never, undefined, given),
      get: (target, name) =>
        (name === 'unsafe' || name === 'savepoint') && isGone()
          ? refused
          : name === 'savepoint' && name in target
            ? savepoint
            : Reflect.get(target, name),
    })
  }
  const { begin, reserve } = sql
  sql.begin = ((...given: [...unknown[], Work]) => {
    const work = given.pop() as Work
    return (begin as (...all: unknown[]) => Promise<unknown>)(...given, (tx: object) =>
      work(guarded(tx)).catch(error => {
        if (!isGone()) throw error
        // begin() was rejected already; continuing would only send a rollback
        return new Promise(() => {})
      }),
    ).catch(error => {
      // the driver only reports that the connection was closed; the wire has the reason
      throw isGone() && isLost(error) ? (wire.fault ?? error) : error
    })
  }) as typeof begin
  sql.reserve = async () => guarded(await reserve())
}

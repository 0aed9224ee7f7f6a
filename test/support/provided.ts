/** What the global setup hands to every test process, as far as its project asks for the part. */
declare module 'vitest' {
  interface ProvidedContext {
    postgresSource: string;
    postgresTarget: string;
    /** Loopback address that starts the PostgreSQL 15 server when asked, and answers its URL. */
    postgres15: string;
    temporalAddress: string;
    /** File with the workflow bundle. */
    workflowBundle: string;
    /** Why there is none; empty if there is one. */
    workflowBundleFault: string;
    /** The executable of the S3 server. */
    versitygw: string;
  }
}

export {};

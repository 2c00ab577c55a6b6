package manager

// Name is "problem_found".
func (ProblemFound) Name() string { return "problem_found" }

// Name is "fleet_started".
func (FleetStarted) Name() string { return "fleet_started" }

// Name is "pool_not_run".
func (PoolNotRun) Name() string { return "pool_not_run" }

// Name is "php_found".
func (PHPFound) Name() string { return "php_found" }

// Name is "php_printed".
func (PHPPrinted) Name() string { return "php_printed" }

// Name is "php_slow".
func (PHPSlow) Name() string { return "php_slow" }

// Name is "worker_started".
func (WorkerStarted) Name() string { return "worker_started" }

// Name is "worker_ready".
func (WorkerReady) Name() string { return "worker_ready" }

// Name is "start_failed".
func (StartFailed) Name() string { return "start_failed" }

// Name is "worker_retiring".
func (WorkerRetiring) Name() string { return "worker_retiring" }

// Name is "worker_killed".
func (WorkerKilled) Name() string { return "worker_killed" }

// Name is "worker_exited".
func (WorkerExited) Name() string { return "worker_exited" }

// Name is "job_suspected".
func (JobSuspected) Name() string { return "job_suspected" }

// Name is "job_undelivered".
func (JobUndelivered) Name() string { return "job_undelivered" }

// Name is "server_lost".
func (ServerLost) Name() string { return "server_lost" }

// Name is "server_still_lost".
func (ServerStillLost) Name() string { return "server_still_lost" }

// Name is "server_reached".
func (ServerReached) Name() string { return "server_reached" }

// Name is "slot_connected".
func (SlotConnected) Name() string { return "slot_connected" }

// Name is "slot_lost".
func (SlotLost) Name() string { return "slot_lost" }

// Name is "worker_logged".
func (WorkerLogged) Name() string { return "worker_logged" }

// Name is "worker_printed".
func (WorkerPrinted) Name() string { return "worker_printed" }

// Name is "leftover_found".
func (LeftoverFound) Name() string { return "leftover_found" }

// Name is "leftover_ended".
func (LeftoverEnded) Name() string { return "leftover_ended" }

// Name is "orphan_reaped".
func (OrphanReaped) Name() string { return "orphan_reaped" }

// Name is "fleet_stopping".
func (FleetStopping) Name() string { return "fleet_stopping" }

// Name is "fleet_stopped".
func (FleetStopped) Name() string { return "fleet_stopped" }

// Name is "internal_error".
func (InternalError) Name() string { return "internal_error" }

// Name is "standby_ready".
func (StandbyReady) Name() string { return "standby_ready" }

// Name is "worker_promoted".
func (WorkerPromoted) Name() string { return "worker_promoted" }

// Name is "pool_failed".
func (PoolFailed) Name() string { return "pool_failed" }

// Name is "pool_retried".
func (PoolRetried) Name() string { return "pool_retried" }

// Name is "worker_stopped".
func (WorkerStopped) Name() string { return "worker_stopped" }

// Name is "worker_continued".
func (WorkerContinued) Name() string { return "worker_continued" }

// Name is "lines_dropped".
func (LinesDropped) Name() string { return "lines_dropped" }

// Name is "lagged".
func (Lagged) Name() string { return "lagged" }

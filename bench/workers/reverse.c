/* A worker on libgearman in its blocking mode, with the defaults of the library.
 * Usage: reverse HOST PORT */

#include <libgearman/gearman.h>
#include <stdio.h>
#include <stdlib.h>

static void *reverse(gearman_job_st *job, void *context, size_t *result_size,
                     gearman_return_t *ret)
{
  const char *workload = gearman_job_workload(job);
  size_t size = gearman_job_workload_size(job);
  char *result = malloc(size ? size : 1); /* libgearman frees it */

  (void)context;
  if (!result) {
    *ret = GEARMAN_WORK_FAIL;
    return NULL;
  }
  for (size_t i = 0; i < size; i++)
    result[i] = workload[size - 1 - i];
  *result_size = size;
  *ret = GEARMAN_SUCCESS;
  return result;
}

int main(int argc, char **argv)
{
  gearman_worker_st *worker = gearman_worker_create(NULL);

  if (argc != 3 || !worker)
    return 2;
  if (gearman_failed(gearman_worker_add_server(worker, argv[1], (in_port_t)atoi(argv[2]))) ||
      gearman_failed(gearman_worker_add_function(worker, "reverse", 0, reverse, NULL))) {
    fprintf(stderr, "%s\n", gearman_worker_error(worker));
    return 1;
  }
  for (;;) {
    if (gearman_failed(gearman_worker_work(worker))) {
      fprintf(stderr, "%s\n", gearman_worker_error(worker));
      return 1;
    }
  }
}

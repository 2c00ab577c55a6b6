<?php

function exits($job, &$log)
{
}

exit(2);

<?php

function fatal($job, &$log)
{
}

no_such_function();

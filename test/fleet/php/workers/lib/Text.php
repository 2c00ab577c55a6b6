<?php

class Text
{
    public function __toString()
    {
        return 'the text of an object';
    }
}
